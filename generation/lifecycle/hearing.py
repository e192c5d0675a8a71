"""The provider says how an attempt stands: state forward, money by its end, the next attempt where it passes."""

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from accounts import alerts, quotas, statements
from accounts.statements import Sql
from gallery.faultpoints import faultpoint
from gallery.leases import LEASE
from generation import catalog, errors, events, pricing
from generation.lifecycle.rows import end, move
from generation.models import Attempt, Output, Prediction
from generation.providers.base import ProviderPrediction
from generation.states import ALLOWED_FROM, FROM_REPLICATE, OPEN_AT_PROVIDER, Status

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
# The provider deletes the files of API predictions an hour after their end.
RETENTION = timedelta(hours=1)
# While outputs are being stored the prediction itself is only looked after: as often as leases end, since whoever dies
# after the last of them was given up leaves none behind.
STORING_WATCH = LEASE
# The notes of the ledger: for a cost that was learnt late, and where the provider's end costs nothing.
FOUND_LATER = gettext_noop("Found later")
WITHOUT_CHARGE = {
    Status.FAILED: gettext_noop("Failed at the provider"),
    Status.CANCELED: gettext_noop("Canceled before it started"),
    Status.ABORTED: gettext_noop("Not started in time"),
}


# What `_note` writes.
NOTED = (
    "provider_id",
    "submitted_at",
    "provider_status",
    "answer",
    "metrics",
    "logs",
    "error",
    "deadline_at",
    "started_at",
    "looked_at",
    "completed_at",
    "closed_at",
)


@dataclass
class Asker:
    """Who has asked the provider, and holds the prediction's `lease`.

    `next_look` says of the attempt, with its prediction, when to look again at what goes on there. Was the lease given
    back with the news, to be looked at then, it is `dismissed`; else the asker still holds it.
    """

    lease: uuid.UUID | None
    next_look: Callable[[Attempt], datetime]
    dismissed: bool = False

    def dismiss(self, attempt: Attempt) -> dict[str, Any]:
        """What to write so that the lease is given back; nothing where it is another's by now."""
        held = attempt.prediction.lease_token
        self.dismissed = held is not None and held == self.lease
        return {"due_at": self.next_look(attempt), "lease_until": None, "lease_token": None} if self.dismissed else {}


def is_anothers(*, attempt: Attempt, provider_id: str) -> bool:
    """Whether that is not under which id the provider runs an attempt: it has another, or another attempt has this."""
    if attempt.provider_id:
        return attempt.provider_id != provider_id
    return Attempt.objects.filter(provider_id=provider_id).exists()


def locked(which: Sql | None = None, **where: Any) -> Attempt | None:
    """The attempt of which that holds, locked, and with it its prediction, in this order; for `apply_locked`.

    Both before the quotas, as whoever cancels does: the other way round they wait for each other for ever.
    """
    found: list[Attempt] = statements.read(Attempt, where, also=which, limit=1, lock="no_key", joined="prediction")
    return found[0] if found else None


def apply_update(*, attempt: Attempt, update: ProviderPrediction, now: datetime, asker: Asker | None = None) -> bool:
    """Move forward by what the provider says of an attempt, whoever heard it; False when nothing moved.

    Safe to call any number of times, in any order, from any process. Where a run has begun, the asker is dismissed.
    """
    try:
        with transaction.atomic():
            found = locked(pk=attempt.pk)
            if found is None:
                return False
            if not found.provider_id or found.provider_id == update.id:
                return apply_locked(attempt=found, update=update, now=now, asker=asker)
    except Exception:
        if asker:
            asker.dismissed = False
        # Whatever went wrong: under which id the provider runs it is kept.
        if _bind(attempt, update.id):
            raise
    # Whoever asked heard of another prediction than a webhook has named before: one of the two is nobody's.
    known = Attempt.objects.filter(pk=attempt.pk).values_list("provider_id", flat=True).first() or "not known"
    detail = f"Attempt {attempt.pk} is {known} at the provider, and was answered as {update.id}."
    alerts.note("ids_differ", detail, now=now)
    return False


def _bind(attempt: Attempt, provider_id: str) -> bool:
    """Keep the id by itself; False when another one is known, or another attempt has this one."""
    unbound = {"pk": attempt.pk, "provider_id": None}
    submitted_at = attempt.submitted_at or attempt.created_at
    try:
        with transaction.atomic():
            statements.update(Attempt, unbound, provider_id=provider_id, submitted_at=submitted_at)
    except IntegrityError:
        log.error("provider id %s is bound to another attempt than %s", provider_id, attempt.pk)
        return False
    return Attempt.objects.filter(pk=attempt.pk, provider_id=provider_id).exists()


def apply_locked(*, attempt: Attempt, update: ProviderPrediction, now: datetime, asker: Asker | None = None) -> bool:
    """The same for an attempt that is not `is_anothers`, and that was read by `locked` in the caller's transaction.

    Raises IntegrityError where another attempt has got the id meanwhile.
    """
    if attempt.completed_at:
        return False
    target, prediction = FROM_REPLICATE.get(update.status), attempt.prediction
    # The next attempt is opened in the transaction that closes the one before: what is not closed is the current one.
    given_up = attempt.closed_at is not None
    _note(attempt, update, now, ended=target is not None and target not in (Status.STARTING, Status.PROCESSING))
    if target is None:
        log.warning("attempt %s: the provider says %r, a word we do not know", attempt.pk, update.status[:40])
        return False
    if given_up:
        moved = _found_later(prediction, attempt, update, target, now)
    elif target in (Status.STARTING, Status.PROCESSING):
        moved = _run(attempt, update, target, now, asker)
    else:
        moved = _finish_at_provider(prediction, attempt, update, target, now)
    faultpoint("update.before_commit")
    return moved


def _note(attempt: Attempt, update: ProviderPrediction, now: datetime, *, ended: bool) -> None:
    """Keep the provider's facts on the attempt, first of all under which id it runs there, whatever follows."""
    attempt.provider_id = update.id
    attempt.submitted_at = attempt.submitted_at or attempt.created_at
    attempt.provider_status = update.status[:40]
    attempt.answer = dict(update.raw)
    attempt.metrics = dict(update.metrics)
    attempt.logs = update.logs
    attempt.error = update.error
    attempt.deadline_at = update.deadline or attempt.deadline_at
    attempt.started_at = update.started_at or attempt.started_at
    attempt.looked_at = now
    if ended:
        attempt.completed_at = update.completed_at or now
        attempt.closed_at = attempt.closed_at or now
    statements.update(Attempt, {"pk": attempt.pk}, **{name: getattr(attempt, name) for name in NOTED})


def _run(attempt: Attempt, update: ProviderPrediction, target: Status, now: datetime, asker: Asker | None) -> bool:
    prediction = attempt.prediction
    # A run that has only begun has no percentage yet; elapsed time says more.
    progress = catalog.progress(update.logs) or None
    facts: dict[str, Any] = {
        "submitted_at": prediction.submitted_at or attempt.submitted_at,
        "started_at": update.started_at or prediction.started_at,
        "progress": progress,
    }
    if Status(prediction.status) in ALLOWED_FROM[target]:
        event = events.enter(prediction=prediction, name=target, now=now)
        facts |= asker.dismiss(attempt) if asker else {}
        return _moved(move(prediction, target, **facts, last_event_id=events.newest(event)), prediction)
    if prediction.status == target and progress is not None and progress != prediction.progress:
        event = events.enter(prediction=prediction, name="progress", now=now, data={"progress": progress})
        there = {"pk": prediction.pk, "status": target}
        moved = statements.update(Prediction, there, progress=progress, last_event_id=events.newest(event))
        return _moved(moved == 1, prediction)
    return False


def _moved(moved: bool, prediction: Prediction) -> bool:
    """The row is locked, so it is where it was read; were it not, its event and the money must not stay either."""
    if not moved:
        raise RuntimeError(f"prediction {prediction.pk} was not where its attempt left it")
    return True


def _finish_at_provider(
    prediction: Prediction, attempt: Attempt, update: ProviderPrediction, target: Status, now: datetime
) -> bool:
    if target is Status.FAILED and _try_again(prediction, attempt, update, now):
        return True
    addresses = catalog.read_output(update.output) if target is Status.STORING else []
    # How many files there were is unknown once the provider has erased them.
    count = None if update.data_removed and not addresses else len(addresses)
    cost, estimated, book = _charge(prediction, attempt, update, target, now, output_count=count)
    end_here = _end_of_success(count) if target is Status.STORING and not addresses else target
    event = events.enter(prediction=prediction, name=end_here, now=now)
    money: dict[str, Any] = {
        "cost_micros": cost,
        "cost_estimated": estimated,
        "progress": None,
        "started_at": update.started_at or prediction.started_at,
        "last_event_id": events.newest(event),
    }
    if target is Status.STORING and addresses:
        moved = move(prediction, target, due_at=now + STORING_WATCH, **money)
        _await_outputs(prediction, attempt, addresses, now)
    elif end_here is Status.LOST:
        # Made and paid, but found out after the provider had erased it: nothing is left to fetch.
        moved = move(prediction, Status.STORING, **money) and move(
            prediction, Status.LOST, **end(Status.LOST, now), error_code="file_expired"
        )
    elif target is Status.STORING:
        moved = move(prediction, end_here, **end(end_here, now), error_code="empty_output", **money)
    else:
        code = {Status.FAILED: errors.code_of(update.error), Status.ABORTED: "timed_out"}.get(target, "")
        moved = move(
            prediction, target, **end(target, now), error_code=code, error_message=update.error[:2000], **money
        )
    _moved(moved, prediction)
    # Late, as everybody's sums are locked from here to the commit; alerts are locked after them everywhere.
    book()
    if end_here is Status.LOST:
        lost = f"Prediction {prediction.pk}: paid for, and erased by the provider before we heard of it."
        alerts.note("prediction_lost", lost, now=now)
    return True


def _charge(
    prediction: Prediction,
    attempt: Attempt,
    update: ProviderPrediction,
    target: Status,
    now: datetime,
    *,
    output_count: int | None,
) -> tuple[int, bool, Callable[[], bool]]:
    """What the provider's end means: micro-dollars, whether they are estimated, and what enters it in the books."""
    ran = target is Status.CANCELED and (update.started_at or attempt.started_at) is not None
    if target is not Status.STORING and not ran:
        reason = WITHOUT_CHARGE.get(target, "")
        return 0, False, partial(quotas.release, reference=attempt.pk, reason=reason, end=target, now=now)
    cost, estimated = _actual(prediction, update, output_count=None if ran else output_count)
    end_known = target if ran else _end_of_success(output_count)
    charge: dict[str, Any] = {"amount_micros": cost, "estimated": estimated, "end": end_known, "now": now}
    return cost, estimated, partial(quotas.settle, reference=attempt.pk, **charge)


def _end_of_success(output_count: int | None) -> Status:
    """What a success at the provider is here, as far as its files are known: None says that they are erased."""
    if output_count is None:
        return Status.LOST
    return Status.SUCCEEDED if output_count else Status.FAILED


def _actual(prediction: Prediction, update: ProviderPrediction, *, output_count: int | None) -> tuple[int, bool]:
    return pricing.actual(
        quote=prediction.quote, inputs=prediction.input, metrics=update.metrics, output_count=output_count
    )


def _await_outputs(prediction: Prediction, attempt: Attempt, addresses: Sequence[str], now: datetime) -> None:
    """A row for each file; the hour that the provider keeps them began when it said it was done."""
    expires_at = (attempt.completed_at or now) + RETENTION
    outputs = [
        Output(prediction=prediction, attempt=attempt, index=index, url=url, expires_at=expires_at, due_at=now)
        for index, url in enumerate(addresses)
    ]
    if len(outputs) == 1:
        statements.insert_new(outputs[0])
    else:
        Output.objects.bulk_create(outputs, ignore_conflicts=True)


def _try_again(prediction: Prediction, attempt: Attempt, update: ProviderPrediction, now: datetime) -> bool:
    """After a fault that passes by itself: the next attempt, in this transaction, with the same reservation."""
    if not errors.is_transient(update.error) or attempt.number >= MOST_ATTEMPTS or prediction.cancel_requested_at:
        return False
    event = events.enter(
        prediction=prediction, name="requeued", now=now, data={"code": errors.provider_code(update.error)}
    )
    requeued = statements.update(
        Prediction,
        {"pk": prediction.pk, "status": tuple(OPEN_AT_PROVIDER), "cancel_requested_at": None},
        status=Status.QUEUED,
        submitted_at=None,
        started_at=None,
        progress=None,
        due_at=now + timedelta(seconds=5 * attempt.number),
        lease_until=None,
        lease_token=None,
        quarantined_at=None,
        claims=0,
        last_event_id=events.newest(event),
    )
    _moved(requeued == 1, prediction)
    following = Attempt.objects.create(
        prediction=prediction, number=attempt.number + 1, provider=attempt.provider, created_at=now
    )
    quotas.transfer(reference=attempt.pk, to=following.pk, now=now)
    return True


def _found_later(
    prediction: Prediction, attempt: Attempt, update: ProviderPrediction, target: Status, now: datetime
) -> bool:
    """An attempt that was given up turns out to have run: keep its files, book its cost, leave the state alone."""
    ran = target is Status.CANCELED and update.started_at is not None
    if target is not Status.STORING and not ran:
        return False
    addresses = [] if ran else catalog.read_output(update.output)
    unknown = ran or (update.data_removed and not addresses)
    cost, _ = _actual(prediction, update, output_count=None if unknown else len(addresses))
    quotas.correct(reference=attempt.pk, amount_micros=cost, count=1, reason=FOUND_LATER, now=now)
    Prediction.objects.filter(pk=prediction.pk).update(cost_micros=cost + (prediction.cost_micros or 0))
    _await_outputs(prediction, attempt, addresses, now)
    events.record(prediction=prediction, name="found_later", now=now)
    return True
