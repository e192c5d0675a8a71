"""From what was posted to a prediction, and from a refusal to what is said about it."""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext, gettext_noop, ngettext

from accounts.quotas import QuotaExceeded
from accounts.storage_room import StorageFull
from accounts.templatetags.studio import usd
from gallery import library
from gallery.descriptions import InvalidDetails
from gallery.files import UnusableFile
from gallery.storage import StorageError
from generation import catalog, lifecycle, pauses, quotes, references
from generation.catalog.base import InvalidInput, ModelSpec
from generation.models import Prediction
from generation.quotes import PriceRisen
from generation.web.forms import Composer, Files, as_raw, read_uploads

# Everything that `request_prediction` and what comes before it may anticipate.
REFUSALS = (
    InvalidInput,
    QuotaExceeded,
    StorageFull,
    lifecycle.IdempotencyConflict,
    lifecycle.SubmissionsClosed,
    lifecycle.QueueFull,
    pauses.Paused,
    lifecycle.EmailNotConfirmed,
    lifecycle.ModelUnavailable,
    lifecycle.NotRetryable,
    PriceRisen,
)
ALREADY_SENT = gettext_noop(
    "This form was already sent once, and what it asked for is on its way. "
    "Press Generate again if you want another one."
)
NOT_CONFIRMED = gettext_noop(
    "Please confirm your e-mail address first: we have sent you a link. Until then nothing is spent."
)


@dataclass(frozen=True)
class Refusal:
    """Sentences by field ("" for those of no field), and the model that is proposed in place of one that is gone."""

    errors: Mapping[str, list[str]] = field(default_factory=dict)
    proposed: ModelSpec | None = None

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return " ".join(sentence for sentences in self.errors.values() for sentence in sentences)


def keep_uploads(composer: Composer, files: Files, *, now: datetime) -> dict[str, list[str]]:
    """Enter the files sent along into the gallery and name them in the form; answers errors by field."""
    errors: dict[str, list[str]] = {}
    uploads = read_uploads(composer.spec, files)
    counts = Counter(item.name for item, _ in uploads)
    for item in composer.spec.fields:
        most = item.most if item.kind == "files" else 1
        if most is not None and counts[item.name] > most:
            # Counted before any is opened: each costs time and memory.
            sentence = ngettext(
                "At most %(most)s picture can be sent along.", "At most %(most)s pictures can be sent along.", most
            )
            errors[item.name] = [sentence % {"most": most}]
    for item, file in [(item, file) for item, file in uploads if item.name not in errors]:
        try:
            asset = library.upload_asset(owner=composer.user, file=file, name=file.name or "", now=now)
        except UnusableFile as unusable:
            errors.setdefault(item.name, []).append(f"{(file.name or gettext('The file'))[:60]}: {unusable.sentence}")
        except InvalidDetails:
            sentence = gettext("The file's name cannot be kept as a title. Rename the file first.")
            errors.setdefault(item.name, []).append(sentence)
        except StorageError:
            sentence = gettext("The picture could not be saved just now. Please try again soon.")
            errors.setdefault(item.name, []).append(sentence)
        else:
            kept = [] if item.kind == "file" else list(composer.values.get(item.name) or ())
            composer.values[item.name] = [*kept, str(asset.pk)]
    return errors


@dataclass(frozen=True)
class Asked:
    """What was asked for, and why it is less than `wanted`, if it is."""

    predictions: list[Prediction]
    wanted: int
    refused: Exception | None = None

    @property
    def first(self) -> Prediction:
        return self.predictions[0]

    @property
    def sentence(self) -> str:
        """What to say of those that were refused."""
        why = explain(self.refused).sentence if self.refused else ""
        counts = {"count": len(self.predictions), "wanted": self.wanted}
        return f"{gettext('%(count)s of %(wanted)s runs were asked for.') % counts} {why}"


def ask(composer: Composer, *, now: datetime) -> Asked:
    """Request what stands in the form, as often as it says; each run is decided on by itself.

    The form's key makes every run's, so that the same form sent twice asks for the same runs. Raises one of
    `REFUSALS` when not even the first is accepted.
    """
    first = _ask_once(composer, composer.key, now=now)
    asked = [first]
    for number in range(2, composer.runs + 1):
        key = str(uuid.uuid5(uuid.UUID(composer.key), f"run {number}"))
        try:
            asked.append(_ask_once(composer, key, now=now, first_run=first))
        except REFUSALS as refused:
            return Asked(asked, composer.runs, refused)
    return Asked(asked, composer.runs)


def _ask_once(composer: Composer, key: str, *, now: datetime, first_run: Prediction | None = None) -> Prediction:
    spec = composer.spec
    user, asked = composer.user, as_raw(spec, composer.values)
    if repeat := lifecycle.find_repeat(user=user, model=spec.id, asked=asked, idempotency_key=key, now=now):
        return repeat
    parsed = catalog.parse(spec, references.resolve(user=user, spec=spec, raw=asked, now=now))
    quoted = quotes.shown_rules(composer.quote, user=user, spec=spec, inputs=parsed.inputs, now=now)
    return lifecycle.request_prediction(
        user=user,
        spec=spec,
        parsed=parsed,
        now=now,
        idempotency_key=key,
        asked=asked,
        quoted=quoted,
        first_run=first_run,
        looked=True,
    )


def explain(refused: Exception) -> Refusal:
    """What to tell a creator of one of `REFUSALS`."""
    if isinstance(refused, InvalidInput):
        return Refusal(refused.errors)
    if isinstance(refused, lifecycle.ModelUnavailable):
        proposed = catalog.get(refused.fallback) if refused.fallback else None
        return Refusal(
            {"": [gettext("The provider does not offer this model just now. Nothing was charged.")]}, proposed
        )
    return Refusal({"": [_sentence(refused)]})


def _sentence(refused: Exception) -> str:
    if isinstance(refused, lifecycle.SubmissionsClosed | lifecycle.QueueFull | pauses.Paused):
        return refused.sentence
    if isinstance(refused, lifecycle.IdempotencyConflict):
        return gettext(ALREADY_SENT)
    if isinstance(refused, StorageFull):
        sentence = gettext("%(sentence)s Delete something and empty the trash to make room. Nothing was charged.")
        return sentence % {"sentence": refused.sentence}
    if isinstance(refused, lifecycle.EmailNotConfirmed):
        return gettext(NOT_CONFIRMED)
    if isinstance(refused, lifecycle.NotRetryable):
        return gettext("This one has not failed, so there is nothing to retry.")
    if isinstance(refused, PriceRisen):
        return gettext(
            "The price has changed since it was shown, from %(shown)s to %(current)s. "
            "Nothing was made and nothing was charged; press Generate again to go on at the new price."
        ) % {"shown": usd(refused.shown), "current": usd(refused.current)}
    return gettext("%(reason)s Nothing was made and nothing was charged.") % {"reason": refused}
