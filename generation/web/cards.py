"""One prediction as a card: the words, the figures and the actions of each state."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.statements import read
from accounts.templatetags.studio import clock, ordinal, ratio, seconds, span, usd
from gallery.models import Asset
from generation import catalog, errors
from generation.catalog.base import ModelSpec
from generation.models import Output, Prediction, PredictionEvent
from generation.states import OPEN_AT_PROVIDER, RETRYABLE, TERMINAL, UNFINISHED, Status
from generation.work.places import Place, places

NOT_CHARGED = gettext_lazy("You were not charged.")


@dataclass(frozen=True)
class Words:
    """What a card says: a headline, and where it is needed a sentence on why and on money."""

    headline: str
    why: str = ""


@dataclass(frozen=True)
class Waiting:
    """What stands in the frame while there is no picture. `fraction` (0 to 1) is None where nothing is known.

    `elapsed_seconds` is the figure itself where a clock runs; the page goes on counting from it.
    """

    figure: str
    unit: str = ""
    below: str = ""
    fraction: float | None = None
    elapsed_seconds: float | None = None
    usual_seconds: float | None = None

    @property
    def arc(self) -> str:
        """The drawn share of a ring whose length is 100."""
        return f"{min(self.fraction or 0, 1) * 100:.1f} 100"

    @property
    def percent(self) -> int | None:
        """For the progress line; None while only time is known."""
        return None if self.fraction is None else round(min(self.fraction, 1) * 100)


@dataclass(frozen=True)
class Card:
    """A prediction with everything that its fragment shows at `now`."""

    prediction: Prediction
    spec: ModelSpec | None
    outputs: Sequence[Output]
    place: Place | None
    doubtful: bool
    now: datetime
    template = "generation/_prediction_card.html"

    @property
    def status(self) -> Status:
        return Status(self.prediction.status)

    @property
    def still(self) -> Sequence[Any] | None:
        """What alone decides how it looks (see `accounts.fragments`); None where there is a clock or a form."""
        if self.status is not Status.SUCCEEDED:
            return None
        files = [(output.index, output.state, output.asset_id) for output in self.outputs]
        return [self.prediction, files, *self.assets]

    @property
    def assets(self) -> Sequence[Asset]:
        """What has been stored of it."""
        return [output.asset for output in self.outputs if output.asset]

    @property
    def number(self) -> str:
        """The frame's, as it is written: a template writes a text much faster than a number."""
        return str(self.prediction.number)

    @property
    def moment(self) -> str:
        """When it was asked for, in the time of whoever looks: "2026-11-30T19:51+00:00"."""
        return timezone.localtime(self.prediction.created_at).isoformat(timespec="minutes")

    @property
    def hour(self) -> str:
        """The same as people read it, "19:51"."""
        return f"{timezone.localtime(self.prediction.created_at):%H:%M}"

    @property
    def root_id(self) -> str:
        return f"prediction-{self.prediction.number}"

    @property
    def event(self) -> int:
        """The newest that it shows."""
        return self.prediction.last_event_id

    @property
    def fraction(self) -> float:
        """How far it is as far as anybody knows, 0 to 1."""
        return 1.0 if self.status is Status.STORING else self.prediction.progress or 0.0

    @property
    def model(self) -> str:
        return self.spec.title if self.spec else self.prediction.model

    @property
    def ratio(self) -> str:
        """The shape that is asked for, "16:9"; that of the picture where a reference has decided otherwise."""
        asked = catalog.frame_ratio(self.spec, self.prediction.input) if self.spec else "3:2"
        if not self.assets or ratio(asked) == ratio(self.assets[0]):
            return asked
        return ratio(self.assets[0]).removeprefix("r-").replace("x", ":")

    @property
    def length_seconds(self) -> float | None:
        """Of a film, as it was asked for."""
        asked = self.prediction.input.get(self.spec.seconds) if self.spec and self.spec.seconds else None
        return float(asked) if isinstance(asked, int | float) else None

    @property
    def simulated(self) -> bool:
        return self.prediction.provider == "sandbox"

    @property
    def unfinished(self) -> bool:
        """Whether it still changes by itself; the last thing to come is the thumbnail of a stored file."""
        return self.status in UNFINISHED or any(
            asset.due_at and not asset.thumbnail_key and not asset.quarantined_at for asset in self.assets
        )

    @property
    def usual_seconds(self) -> float | None:
        return self.spec.usual_seconds if self.spec else None

    @property
    def elapsed(self) -> timedelta:
        """Since the provider started, else since it was sent, else since it was asked for."""
        since = self.prediction.started_at or self.prediction.submitted_at or self.prediction.created_at
        return max(timedelta(), self.now - since)

    @property
    def canceling(self) -> bool:
        return self.prediction.cancel_requested_at is not None and self.status in OPEN_AT_PROVIDER

    @property
    def slow(self) -> bool:
        """Running for twice the model's usual time, and nobody has said lately that they would wait."""
        overdue = self.slow_in_seconds
        return overdue is not None and overdue <= 0

    @property
    def slow_in_seconds(self) -> float | None:
        """When the card has to ask whether to go on; None where it never will."""
        running = self.status in {Status.STARTING, Status.PROCESSING}
        if not running or self.canceling or self.usual_seconds is None:
            return None
        left = 2 * self.usual_seconds - self.elapsed.total_seconds()
        if self.prediction.keep_waiting_until:
            left = max(left, (self.prediction.keep_waiting_until - self.now).total_seconds())
        return left

    @property
    def words(self) -> Words:
        if self.canceling:
            return Words(_("Canceling…"))
        if self.slow:
            why = _("The provider is still at it. Waiting costs nothing more.")
            return Words(_("Taking longer than expected"), why)
        return {
            Status.QUEUED: self._queued,
            Status.STARTING: lambda: Words(_("Warming up…")),
            Status.PROCESSING: lambda: Words(_("Generating your content…")),
            Status.STORING: lambda: Words(_("Saving to your gallery…")),
            Status.SUCCEEDED: self._succeeded,
            Status.FAILED: self._failed,
            Status.CANCELED: self._canceled,
            Status.ABORTED: self._canceled,
            Status.LOST: self._lost,
        }[self.status]()

    def _queued(self) -> Words:
        if self.doubtful:
            return Words(_("Waiting for the provider to confirm…"), _("Nothing will be charged twice."))
        return Words(_("Your request is in queue…"), self.place.why if self.place else "")

    def _succeeded(self) -> Words:
        lost = sum(output.state == Output.State.LOST for output in self.outputs)
        if not lost:
            return Words(_("Generation complete!"))
        figures = {"lost": lost, "all": len(self.outputs)}
        why = ngettext(
            "%(lost)s of %(all)s file could not be saved in time.",
            "%(lost)s of %(all)s files could not be saved in time.",
            len(self.outputs),
        )
        return Words(_("Generation complete!"), why % figures)

    def _failed(self) -> Words:
        if self.assets:
            why = _("The provider delivered it after all: it is in your gallery and cost %(cost)s.")
            return Words(_("Generation failed"), why % {"cost": usd(self.charged)})
        if self.prediction.error_code == "sensitive":
            kept = _("Your prompt is kept as it was.")
            return Words(_("The model declined this prompt"), f"{errors.sentence('sensitive')} {kept} {self._charge}")
        return Words(_("Generation failed"), f"{errors.sentence(self.prediction.error_code)} {self._charge}")

    def _canceled(self) -> Words:
        if self.charged:
            why = _("The provider bills what had already run: %(cost)s.") % {"cost": usd(self.charged)}
            return Words(_("Canceled"), why)
        why = errors.sentence(self.prediction.error_code) + " " if self.prediction.error_code else ""
        return Words(_("Canceled"), f"{why}{NOT_CHARGED}")

    def _lost(self) -> Words:
        if self.assets:
            came = _("It came late and is in your gallery.")
            return Words(_("Saved after all"), f"{came} {self._charge}")
        why = errors.sentence(self.prediction.error_code) + " " if self.prediction.error_code else ""
        return Words(_("Generated, but the file could not be saved in time"), f"{why}{self._charge}")

    @property
    def charged(self) -> int:
        """What it has cost, in micro-dollars."""
        return self.prediction.cost_micros or 0

    @property
    def _charge(self) -> str:
        return _("It cost %(cost)s.") % {"cost": usd(self.charged)} if self.charged else str(NOT_CHARGED)

    @property
    def price(self) -> str:
        """Before the money has moved what it may cost, afterwards what it did, with the time it took."""
        prediction = self.prediction
        if prediction.cost_micros is None:
            price = usd(prediction.estimated_micros)
            return _("up to %(price)s") % {"price": price} if prediction.quote.get("up_to") else f"≈ {price}"
        cost = ("≈ " if prediction.cost_estimated else "") + usd(prediction.cost_micros)
        if self.status is Status.SUCCEEDED and prediction.started_at and prediction.completed_at:
            ran = (prediction.completed_at - prediction.started_at).total_seconds()
            return f"{seconds(max(0.0, ran))} · {cost}"
        return cost

    @property
    def waiting(self) -> Waiting | None:
        """What stands in the frame of an unfinished one."""
        if self.status is Status.QUEUED:
            return self._waiting_for_slot()
        if self.status is Status.STORING:
            return Waiting("100", "%", _("saving"), fraction=1.0)
        if self.status not in {Status.STARTING, Status.PROCESSING}:
            return None
        elapsed, usual = self.elapsed.total_seconds(), self.usual_seconds
        if self.status is Status.STARTING:
            return Waiting(clock(elapsed), "", _("at the provider"), elapsed_seconds=elapsed)
        if self.prediction.progress is not None:
            below = clock(elapsed)
            if usual:
                below = _("%(elapsed)s of about %(usual)s") % {"elapsed": below, "usual": clock(usual)}
            return Waiting(f"{self.prediction.progress * 100:.0f}", "%", below, fraction=self.prediction.progress)
        below = _("usually %(time)s") % {"time": clock(usual)} if usual else ""
        return Waiting(clock(elapsed), "", below, elapsed_seconds=elapsed, usual_seconds=usual)

    def _waiting_for_slot(self) -> Waiting:
        if self.place is None:
            elapsed = self.elapsed.total_seconds()
            return Waiting(clock(elapsed), "", _("on its way"), elapsed_seconds=elapsed)
        place, wait = self.place, self.place.starts_in_seconds
        if place.paused:
            return Waiting(_("Paused"))
        of_all = _("of %(count)s") % {"count": f"{place.waiting:,}"}
        if not place.position:
            return Waiting(_("Later"), of_all, _("in more than %(time)s") % {"time": span(wait)} if wait else "")
        below = ""
        if wait is not None:
            below = _("about %(time)s") % {"time": span(wait)} if wait >= 1 else _("starts soon")
        if place.position == 1:
            return Waiting(_("Next"), "", below)
        return Waiting(ordinal(place.position), of_all, below)

    @property
    def mark(self) -> str:
        """How an editor would mark a frame that did not come out."""
        if self.assets:
            return ""
        return {
            Status.FAILED: "" if self.prediction.error_code == "sensitive" else "cross",
            Status.LOST: "cross",
            Status.CANCELED: "slash",
            Status.ABORTED: "slash",
        }.get(self.status, "")

    @property
    def declined(self) -> bool:
        return self.status is Status.FAILED and self.prediction.error_code == "sensitive"

    @property
    def can_cancel(self) -> bool:
        return self.status in OPEN_AT_PROVIDER and not self.canceling

    @property
    def can_retry(self) -> bool:
        """A declined prompt is not worth a second try as it stands, and what was saved late is there."""
        saved_late = self.status is Status.LOST and bool(self.assets)
        return self.status in RETRYABLE and not self.declined and not saved_late

    @property
    def can_edit(self) -> bool:
        return self.status is Status.FAILED

    @property
    def finished(self) -> bool:
        return self.status in TERMINAL

    @property
    def retry_key(self) -> str:
        """One per rendering, so that a button pressed twice asks once."""
        return str(uuid.uuid4())


def cards_for(predictions: Iterable[Prediction], *, now: datetime) -> list[Card]:
    """The cards of `predictions`, in a constant number of statements however many there are."""
    rows = list(predictions)
    outputs = _outputs(row.pk for row in rows)
    standing = places(rows, now=now)
    doubtful = _doubtful(rows)
    specs = {model.id: model for model in catalog.all_models()}
    return [
        Card(
            prediction=row,
            spec=specs.get(row.model),
            outputs=outputs.get(row.pk, []),
            place=standing.get(row.pk),
            doubtful=row.pk in doubtful,
            now=now,
        )
        for row in rows
    ]


def _outputs(predictions: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Output]]:
    """Those of each prediction in their order, with what was stored of them."""
    found: dict[uuid.UUID, list[Output]] = {}
    for output in read(Output, {"prediction": tuple(predictions)}, order_by="index"):
        found.setdefault(output.prediction_id, []).append(output)
    everything = [output for own in found.values() for output in own]
    stored = tuple(output.asset_id for output in everything if output.asset_id)
    assets = {asset.pk: asset for asset in (read(Asset, {"pk": stored}) if stored else ())}
    for output in everything:
        output.asset = assets.get(output.asset_id)
    return found


def _doubtful(rows: Iterable[Prediction]) -> set[uuid.UUID]:
    """Those whose last news is that the answer to their create was lost."""
    sent = [row.last_event_id for row in rows if row.status == Status.QUEUED and row.submitted_at]
    if not sent:
        return set()
    lost = PredictionEvent.objects.filter(pk__in=sent, name="confirming")
    return set(lost.values_list("prediction_id", flat=True))
