"""Ends that do not come from the provider: a cancel, a verdict of ours, and the last file stored or lost."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from accounts import alerts, quotas
from accounts.statements import read
from gallery.faultpoints import faultpoint
from generation import errors, events
from generation.lifecycle.rows import current_attempt, end, lock_current, move
from generation.models import Attempt, Output, Prediction, PredictionEvent
from generation.states import OPEN_AT_PROVIDER, Status

# How long after the provider's hour a file that lies in a spool is waited for.
SPOOLED_FOR = timedelta(hours=24)

# Of files that nobody is left to keep for: nothing that an administrator has to hear of.
ACCOUNT_DELETED = "account_deleted"


class NotCancelable(Exception):
    """It is finished or being stored: the provider has been paid."""


def cancel_prediction(*, prediction: Prediction, now: datetime) -> Prediction:
    """End what was not sent at once; ask the provider to end what was. Raises `NotCancelable`."""
    rows = Prediction.objects.filter(pk=prediction.pk)
    unsent = {"status": Status.QUEUED, "submitted_at": None}
    with transaction.atomic():
        attempt = lock_current(prediction)
        if rows.filter(**unsent).update(cancel_requested_at=now, **end(Status.CANCELED, now), cost_micros=0):
            Attempt.objects.filter(pk=attempt.pk).update(closed_at=now, completed_at=now)
            reason = gettext_noop("Canceled before it was sent")
            quotas.release(reference=attempt.pk, reason=reason, end=Status.CANCELED, now=now)
            events.record(prediction=prediction, name=Status.CANCELED, now=now)
        elif (
            rows.filter(status__in=OPEN_AT_PROVIDER, cancel_requested_at=None)
            .exclude(**unsent)
            .update(cancel_requested_at=now, due_at=now)
        ):
            events.record(prediction=prediction, name="cancel_requested", now=now)
        elif not rows.filter(status__in=OPEN_AT_PROVIDER).exists():
            raise NotCancelable
        faultpoint("cancel.before_commit")
    prediction.refresh_from_db()
    return prediction


def keep_waiting(*, prediction: Prediction, now: datetime) -> Prediction:
    """Hide the question whether to go on until as much time again has passed; the run itself is not touched."""
    waited = now - prediction.created_at
    changed = Prediction.objects.filter(pk=prediction.pk, status__in=OPEN_AT_PROVIDER).update(
        keep_waiting_until=now + waited
    )
    if changed:
        prediction.keep_waiting_until = now + waited
        events.record(prediction=prediction, name="keep_waiting", now=now)
    return prediction


def fail_unsent(*, prediction: Prediction, code: str, message: str = "", now: datetime) -> bool:
    """End what the provider has not taken or has refused; the reservation is given back.

    `prediction` is the row as the caller leased it: under another lease, or once bound, nothing changes.
    """
    return _fail(prediction, code, message, now, bound=False)


def abandon(*, prediction: Prediction, code: str, now: datetime) -> bool:
    """End what was sent to a provider that cannot be asked any more; released, as nothing is known of a charge."""
    return _fail(prediction, code, "", now, bound=True)


def _fail(prediction: Prediction, code: str, message: str, now: datetime, *, bound: bool) -> bool:
    with transaction.atomic():
        attempt = lock_current(prediction)
        if attempt.provider_id and not bound:
            return False
        changes = {**end(Status.FAILED, now), "error_code": code, "error_message": message, "cost_micros": 0}
        if not move(prediction, Status.FAILED, held=True, **changes):
            return False
        Attempt.objects.filter(pk=attempt.pk).update(closed_at=now)
        quotas.release(reference=attempt.pk, reason=errors.sentence(code), end=Status.FAILED, now=now)
        events.record(prediction=prediction, name=Status.FAILED, now=now, data={"code": code})
        faultpoint("verdict.before_commit")
    return True


def give_up_set_aside(*, now: datetime) -> None:
    """Outputs whose work kept dying until the provider had deleted them are lost, and their predictions concluded.

    One that lies whole in a spool has a day more, in which an administrator may have it stored again.
    """
    gone = Q(spool_host="", expires_at__lt=now) | Q(expires_at__lt=now - SPOOLED_FOR)
    over = Output.objects.filter(gone, state=Output.State.WAITING, quarantined_at__isnull=False)
    for output in over:
        lost = {"state": Output.State.LOST, "error_code": "file_expired", "due_at": None}
        if over.filter(pk=output.pk).update(**lost):
            finish_storing(prediction_id=output.prediction_id, now=now)


def give_up_storing(*, rows: QuerySet[Output], now: datetime) -> int:
    """Nobody is left to keep these files for: those of `rows` that wait are lost; returns how many.

    Whoever is at one of them writes to no row any more. Their predictions are concluded by `finish_storing`.
    """
    ended = {"due_at": None, "lease_until": None, "lease_token": None, "quarantined_at": None}
    waiting = rows.filter(state=Output.State.WAITING)
    return waiting.update(state=Output.State.LOST, error_code=ACCOUNT_DELETED, **ended)


def finish_storing(*, prediction_id: uuid.UUID, now: datetime) -> bool:
    """Conclude once every output is stored or finally lost; moves no money. True when the state has changed.

    A prediction that was lost stays so when its files are stored after all: a terminal state is never left. That what
    was paid for is here is entered in the books.
    """
    with transaction.atomic():
        return conclude(*lock_storing(prediction_id), now=now)


def lock_storing(prediction_id: uuid.UUID) -> tuple[Prediction, list[Output]]:
    """A prediction and its outputs, for `conclude`: locked before anything that one of these does to them.

    Two that end at once must not each believe that the other is still waiting. Raises `Prediction.DoesNotExist`.
    """
    found = read(Prediction, {"pk": prediction_id}, lock="no_key")
    if not found:
        raise Prediction.DoesNotExist(prediction_id)
    return found[0], read(Output, {"prediction": prediction_id}, order_by="index")


def conclude(
    prediction: Prediction,
    outputs: Sequence[Output],
    *,
    now: datetime,
    written: Output | None = None,
    after: PredictionEvent | None = None,
) -> bool:
    """`finish_storing` for what `lock_storing` has read in the caller's transaction, and has `written` one of since.

    Where it concludes, the event of that, `after`, is entered with its own.
    """
    outputs = [written if written and written.pk == output.pk else output for output in outputs]
    states = {output.state for output in outputs}
    if prediction.status not in (Status.STORING, Status.LOST) or Output.State.WAITING in states:
        return False
    stored = Output.State.STORED in states
    if prediction.status == Status.LOST:
        if stored:
            _saved_after_all(prediction, now)
        return False
    target = Status.SUCCEEDED if stored else Status.LOST
    lost = next((output.error_code for output in outputs if output.state == Output.State.LOST), "")
    event = events.enter(prediction=prediction, name=target, now=now, after=after)
    if not move(prediction, target, **end(target, now), error_code=lost, last_event_id=events.newest(event)):
        raise RuntimeError(f"prediction {prediction.pk} was not where it was locked")
    if target is Status.LOST:
        reason = gettext_noop("Charged, and the files could not be saved in time")
        quotas.relabel(reference=current_attempt(prediction).pk, end=target, reason=reason, now=now)
    _tell_of_lost(prediction, outputs, now)
    faultpoint("conclude.before_commit")
    return True


def _saved_after_all(prediction: Prediction, now: datetime) -> None:
    reference, reason = current_attempt(prediction).pk, gettext_noop("The files were saved after all")
    quotas.relabel(reference=reference, end=Status.SUCCEEDED, reason=reason, now=now)


def _tell_of_lost(prediction: Prediction, outputs: Sequence[Output], now: datetime) -> None:
    """What was paid for and is not in the gallery is never lost in silence."""
    codes = sorted(output.error_code or "unknown" for output in outputs if output.state == Output.State.LOST)
    if codes and codes != [ACCOUNT_DELETED] * len(codes):
        lost = f"{len(codes)} of {len(outputs)} files were paid for and lost ({codes[0]})"
        alerts.note("prediction_lost", f"Prediction {prediction.pk}: {lost}.", now=now)
