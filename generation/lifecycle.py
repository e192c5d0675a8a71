"""Every change of a prediction's state passes here: asked for, moved by what the provider says, canceled, retried.

State moves by UPDATEs guarded by `states.ALLOWED_FROM`; whoever loses a race changes nothing. Money moves in the
transaction that learns the provider's end, and only there.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from accounts import quotas
from accounts.confirmation import may_spend
from accounts.models import User
from generation import catalog, errors, events, pricing
from generation.catalog.base import ModelSpec, Parsed
from generation.models import Attempt, Output, Prediction, ProviderState
from generation.providers.base import ProviderPrediction
from generation.states import ALLOWED_FROM, FROM_REPLICATE, OPEN_AT_PROVIDER, RETRYABLE, Status

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
# The provider deletes the files of API predictions an hour after their end.
RETENTION = timedelta(hours=1)
# While outputs are being stored the prediction itself is only looked after.
STORING_WATCH = timedelta(minutes=1)
# The note of the ledger where the provider's end costs nothing.
WITHOUT_CHARGE = {
    Status.FAILED: "Failed at the provider",
    Status.CANCELED: "Canceled before it started",
    Status.ABORTED: "Not started in time",
}
# What waits for the store with less time than this left closes the door: each success would be paid and lost.
LEAST_TIME_TO_STORE = timedelta(minutes=20)
# Reasons for which the door is closed to creators too; a rate limit only makes the queue wait.
CLOSING_REASONS = frozenset({"unauthenticated", "no_credit", "unavailable"})


class IdempotencyConflict(Exception):
    """The same key came with another request."""


class SubmissionsClosed(Exception):
    """The provider cannot take work just now; nothing was created and nothing is held."""

    def __init__(self, sentence: str, *, retry_after_seconds: int) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after_seconds = retry_after_seconds


class EmailNotConfirmed(Exception):
    """The account spends nothing before its address is confirmed."""


class ModelUnavailable(Exception):
    """The provider no longer offers the model; `fallback` is another's id to propose, or empty."""

    def __init__(self, model: str, *, fallback: str) -> None:
        super().__init__(model)
        self.model = model
        self.fallback = fallback


class NotCancelable(Exception):
    """It is finished or being stored: the provider has been paid."""


class NotRetryable(Exception):
    """It has not failed, been canceled or been lost."""


def request_prediction(
    *,
    user: User,
    spec: ModelSpec,
    parsed: Parsed,
    now: datetime,
    idempotency_key: str | None = None,
    asked: Mapping[str, Any] | None = None,
    token_id: uuid.UUID | None = None,
    retry_of: Prediction | None = None,
) -> Prediction:
    """Reserve the money and put the request in the queue, in one transaction and without network.

    `asked` is the request as it was given, references not yet brought in: what makes two requests the same. The same
    `idempotency_key` of the same user with the same request answers the prediction that it made first (`was_created`
    is False on it). Raises `QuotaExceeded`, `IdempotencyConflict`, `SubmissionsClosed`, `EmailNotConfirmed` and
    `ModelUnavailable`; then nothing has changed.
    """
    digest = _digest(spec.id, parsed.inputs if asked is None else asked)
    if idempotency_key and (twin := _twin(user, idempotency_key, digest)):
        return twin
    _check_doors(user, spec, now)
    try:
        with transaction.atomic():
            return _create(user, spec, parsed, now, idempotency_key, digest, token_id, retry_of)
    except (IntegrityError, quotas.QuotaExceeded):
        # A twin sent at the same moment may have won, and may have taken the last room in the budget.
        if idempotency_key and (twin := _twin(user, idempotency_key, digest)):
            return twin
        raise


def find_repeat(*, user: User, model: str, asked: Mapping[str, Any], idempotency_key: str | None) -> Prediction | None:
    """What this key has made of the same request before; to be asked before references are brought in.

    Raises `IdempotencyConflict` when it belongs to another request.
    """
    return _twin(user, idempotency_key, _digest(model, asked)) if idempotency_key else None


def _digest(model: str, value: Mapping[str, Any]) -> str:
    text = json.dumps([model, value], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _twin(user: User, key: str, digest: str) -> Prediction | None:
    twin = Prediction.objects.for_owner(user).filter(idempotency_key=key).first()
    if twin and twin.request_digest != digest:
        raise IdempotencyConflict(key)
    if twin:
        twin.was_created = False
    return twin


def _check_doors(user: User, spec: ModelSpec, now: datetime) -> None:
    if not may_spend(user):
        raise EmailNotConfirmed
    if not catalog.available(spec.id):
        raise ModelUnavailable(spec.id, fallback=spec.fallback)
    state = ProviderState.objects.filter(provider=settings.PROVIDER, closed_until__gt=now).first()
    if state and state.closed_until and state.closed_reason in CLOSING_REASONS:
        raise SubmissionsClosed(
            "The provider cannot take new work just now. Nothing was charged; please try again in a minute.",
            retry_after_seconds=max(1, int((state.closed_until - now).total_seconds())),
        )
    if storing_is_behind(now=now):
        raise SubmissionsClosed(
            "Finished pictures are waiting to be saved, so nothing new is started. Nothing was charged.",
            retry_after_seconds=60,
        )


def storing_is_behind(*, now: datetime) -> bool:
    """Whether the store refuses an output that the provider will delete within twenty minutes.

    A spooled one counts too: its only copy here is on one host. One that is set aside says nothing of the store.
    """
    refused = Output.objects.filter(
        state=Output.State.WAITING, error_code="storage_unavailable", quarantined_at=None, tries__gt=0
    )
    return refused.filter(expires_at__lt=now + LEAST_TIME_TO_STORE).exists()


def _create(
    user: User,
    spec: ModelSpec,
    parsed: Parsed,
    now: datetime,
    idempotency_key: str | None,
    digest: str,
    token_id: uuid.UUID | None,
    retry_of: Prediction | None,
) -> Prediction:
    attempt_id = uuid.uuid4()
    quote = pricing.quote(spec=spec, inputs=parsed.inputs, now=now)
    quotas.reserve(
        user=user,
        reference=attempt_id,
        amount_micros=quote.amount_micros,
        provider=settings.PROVIDER,
        model=spec.id,
        now=now,
        token_id=token_id,
    )
    prediction = Prediction.objects.create(
        user=user,
        number=_next_number(user),
        type=spec.type,
        provider=settings.PROVIDER,
        model=spec.id,
        prompt=parsed.inputs.get("prompt", ""),
        input=parsed.inputs,
        warnings=parsed.warnings,
        retry_of=retry_of,
        estimated_micros=quote.amount_micros,
        quote=quote.as_json(),
        idempotency_key=idempotency_key or None,
        request_digest=digest,
        created_at=now,
        due_at=now,
    )
    Attempt.objects.create(id=attempt_id, prediction=prediction, provider=settings.PROVIDER, created_at=now)
    events.record(prediction=prediction, name=Status.QUEUED, now=now)
    prediction.was_created = True
    return prediction


def _next_number(user: User) -> int:
    """The owner's next frame number; the row stays locked until the transaction ends, so none is given twice."""
    User.objects.filter(pk=user.pk).update(last_frame_number=F("last_frame_number") + 1)
    return User.objects.values_list("last_frame_number", flat=True).get(pk=user.pk)


def cancel_prediction(*, prediction: Prediction, now: datetime) -> Prediction:
    """End what was not sent at once; ask the provider to end what was. Raises `NotCancelable`."""
    rows = Prediction.objects.filter(pk=prediction.pk)
    unsent = {"status": Status.QUEUED, "submitted_at": None}
    with transaction.atomic():
        attempt = _lock_current(prediction)
        if rows.filter(**unsent).update(cancel_requested_at=now, **_end(Status.CANCELED, now), cost_micros=0):
            Attempt.objects.filter(pk=attempt.pk).update(closed_at=now, completed_at=now)
            quotas.release(reference=attempt.pk, reason="Canceled before it was sent", now=now)
            events.record(prediction=prediction, name=Status.CANCELED, now=now)
        elif (
            rows.filter(status__in=OPEN_AT_PROVIDER, cancel_requested_at=None)
            .exclude(**unsent)
            .update(cancel_requested_at=now, due_at=now)
        ):
            events.record(prediction=prediction, name="cancel_requested", now=now)
        elif not rows.filter(status__in=OPEN_AT_PROVIDER).exists():
            raise NotCancelable
    prediction.refresh_from_db()
    return prediction


def retry_prediction(
    *, prediction: Prediction, now: datetime, idempotency_key: str | None = None, token_id: uuid.UUID | None = None
) -> Prediction:
    """Ask for the same again as a new prediction. Raises `NotRetryable` and what `request_prediction` raises."""
    if prediction.status not in RETRYABLE:
        raise NotRetryable
    try:
        spec = catalog.get(prediction.model)
    except catalog.UnknownModel:
        raise ModelUnavailable(prediction.model, fallback="") from None
    return request_prediction(
        user=prediction.user,
        spec=spec,
        parsed=Parsed(dict(prediction.input), list(prediction.warnings)),
        now=now,
        idempotency_key=idempotency_key,
        token_id=token_id,
        retry_of=prediction,
    )


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


def current_attempt(prediction: Prediction) -> Attempt:
    """The newest attempt; every prediction has one from its first moment."""
    return prediction.attempts.order_by("-number")[0]


def _lock_current(prediction: Prediction) -> Attempt:
    """The newest attempt, locked. Attempts are locked before predictions, and these before quotas, everywhere."""
    while True:
        attempt = Attempt.objects.select_for_update().get(pk=current_attempt(prediction).pk)
        # While we waited for the lock its holder may have opened the next one.
        if attempt.pk == current_attempt(prediction).pk:
            return attempt


def bind(*, attempt: Attempt, provider_id: str, now: datetime) -> bool:
    """Learn under which id the provider runs an attempt; False when it is another's or another id is known."""
    if attempt.provider_id:
        return attempt.provider_id == provider_id
    try:
        with transaction.atomic():
            rows = Attempt.objects.filter(pk=attempt.pk)
            rows.filter(provider_id=None).update(
                provider_id=provider_id, submitted_at=attempt.submitted_at or attempt.created_at
            )
    except IntegrityError:
        log.error("provider id %s is bound to another attempt than %s", provider_id, attempt.pk)
        return False
    attempt.refresh_from_db()
    return attempt.provider_id == provider_id


def apply_update(*, attempt: Attempt, update: ProviderPrediction, now: datetime) -> bool:
    """Move forward by what the provider says of an attempt, whoever heard it; False when nothing moved.

    Safe to call any number of times, in any order, from any process.
    """
    target = FROM_REPLICATE.get(update.status)
    if not bind(attempt=attempt, provider_id=update.id, now=now):
        return False
    with transaction.atomic():
        attempt = Attempt.objects.select_for_update().get(pk=attempt.pk)
        if attempt.completed_at:
            return False
        given_up = attempt.closed_at is not None
        _note(attempt, update, now, ended=target is not None and target not in (Status.STARTING, Status.PROCESSING))
        prediction = Prediction.objects.select_related("user").get(pk=attempt.prediction_id)
        if target is None:
            log.warning("attempt %s: the provider says %r, a word we do not know", attempt.pk, update.status[:40])
            return False
        if given_up or attempt.pk != current_attempt(prediction).pk:
            return _found_later(prediction, attempt, update, target, now)
        if target in (Status.STARTING, Status.PROCESSING):
            return _run(prediction, attempt, update, target, now)
        return _finish_at_provider(prediction, attempt, update, target, now)


def _note(attempt: Attempt, update: ProviderPrediction, now: datetime, *, ended: bool) -> None:
    """Keep the provider's facts on the attempt, whatever follows from them."""
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
    attempt.save(
        update_fields=[
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
        ]
    )


def _end(status: Status, now: datetime) -> dict[str, Any]:
    """The fields of a prediction that nobody has to attend to any more; a worker still at it writes to no row."""
    return {"status": status, "due_at": None, "lease_until": None, "lease_token": None, "completed_at": now}


def _move(prediction: Prediction, target: Status, *, held: bool = False, **changes: Any) -> bool:
    """One guarded UPDATE; news also ends a quarantine, since the row is not where it was set aside.

    With `held`, only under the lease that `prediction` was read with.
    """
    rows = Prediction.objects.filter(pk=prediction.pk, status__in=ALLOWED_FROM[target])
    if held:
        rows = rows.filter(lease_token=prediction.lease_token)
    return rows.update(**{"status": target, "quarantined_at": None, "claims": 0, **changes}) == 1


def _run(prediction: Prediction, attempt: Attempt, update: ProviderPrediction, target: Status, now: datetime) -> bool:
    # A run that has only begun has no percentage yet; elapsed time says more.
    progress = catalog.progress(update.logs) or None
    facts: dict[str, Any] = {
        "submitted_at": prediction.submitted_at or attempt.submitted_at,
        "started_at": update.started_at or prediction.started_at,
        "progress": progress,
    }
    if _move(prediction, target, **facts):
        events.record(prediction=prediction, name=target, now=now)
        return True
    if progress is not None and progress != prediction.progress:
        moved = Prediction.objects.filter(pk=prediction.pk, status=target).update(progress=progress)
        if moved:
            events.record(prediction=prediction, name="progress", now=now, data={"progress": progress})
        return moved == 1
    return False


def _finish_at_provider(
    prediction: Prediction, attempt: Attempt, update: ProviderPrediction, target: Status, now: datetime
) -> bool:
    if target is Status.FAILED and _try_again(prediction, attempt, update, now):
        return True
    addresses = catalog.read_output(update.output) if target is Status.STORING else []
    # How many files there were is unknown once the provider has erased them.
    count = None if update.data_removed and not addresses else len(addresses)
    cost, estimated = _settle(prediction, attempt, update, target, now, output_count=count)
    money: dict[str, Any] = {"cost_micros": cost, "cost_estimated": estimated, "progress": None}
    money["started_at"] = update.started_at or prediction.started_at
    if target is Status.STORING and addresses:
        moved = _move(prediction, target, due_at=now + STORING_WATCH, **money)
        _await_outputs(prediction, attempt, addresses, now)
    elif target is Status.STORING and update.data_removed:
        # Made and paid, but found out after the provider had erased it: nothing is left to fetch.
        moved = _move(prediction, Status.STORING, **money) and _move(
            prediction, Status.LOST, **_end(Status.LOST, now), error_code="file_expired"
        )
        target = Status.LOST
    elif target is Status.STORING:
        target = Status.FAILED
        moved = _move(prediction, target, **_end(target, now), error_code="empty_output", **money)
    else:
        code = {Status.FAILED: errors.code_of(update.error), Status.ABORTED: "timed_out"}.get(target, "")
        moved = _move(
            prediction, target, **_end(target, now), error_code=code, error_message=update.error[:2000], **money
        )
    if not moved:
        # The attempt ended once and is the current one, so its prediction cannot have been moved by another.
        raise RuntimeError(f"prediction {prediction.pk} was not where its attempt left it")
    events.record(prediction=prediction, name=target, now=now)
    return True


def _settle(
    prediction: Prediction,
    attempt: Attempt,
    update: ProviderPrediction,
    target: Status,
    now: datetime,
    *,
    output_count: int | None,
) -> tuple[int, bool]:
    """Book what the provider's end means: (micro-dollars, whether estimated)."""
    ran = target is Status.CANCELED and (update.started_at or attempt.started_at) is not None
    if target is not Status.STORING and not ran:
        quotas.release(reference=attempt.pk, reason=WITHOUT_CHARGE.get(target, ""), now=now)
        return 0, False
    cost, estimated = _actual(prediction, update, output_count=None if ran else output_count)
    quotas.settle(reference=attempt.pk, amount_micros=cost, estimated=estimated, now=now)
    return cost, estimated


def _actual(prediction: Prediction, update: ProviderPrediction, *, output_count: int | None) -> tuple[int, bool]:
    return pricing.actual(
        quote=prediction.quote, inputs=prediction.input, metrics=update.metrics, output_count=output_count
    )


def _await_outputs(prediction: Prediction, attempt: Attempt, addresses: Sequence[str], now: datetime) -> None:
    """A row for each file; the hour that the provider keeps them began when it said it was done."""
    expires_at = (attempt.completed_at or now) + RETENTION
    Output.objects.bulk_create(
        [
            Output(prediction=prediction, attempt=attempt, index=index, url=url, expires_at=expires_at, due_at=now)
            for index, url in enumerate(addresses)
        ],
        ignore_conflicts=True,
    )


def _try_again(prediction: Prediction, attempt: Attempt, update: ProviderPrediction, now: datetime) -> bool:
    """After a fault that passes by itself: the next attempt, in this transaction, with the same reservation."""
    if not errors.is_transient(update.error) or attempt.number >= MOST_ATTEMPTS or prediction.cancel_requested_at:
        return False
    requeued = Prediction.objects.filter(
        pk=prediction.pk, status__in=OPEN_AT_PROVIDER, cancel_requested_at=None
    ).update(
        status=Status.QUEUED,
        submitted_at=None,
        started_at=None,
        progress=None,
        due_at=now + timedelta(seconds=5 * attempt.number),
        lease_until=None,
        lease_token=None,
        quarantined_at=None,
        claims=0,
    )
    if not requeued:
        return False
    following = Attempt.objects.create(
        prediction=prediction, number=attempt.number + 1, provider=attempt.provider, created_at=now
    )
    quotas.transfer(reference=attempt.pk, to=following.pk, now=now)
    events.record(prediction=prediction, name="requeued", now=now, data={"code": errors.provider_code(update.error)})
    return True


def _found_later(
    prediction: Prediction, attempt: Attempt, update: ProviderPrediction, target: Status, now: datetime
) -> bool:
    """An attempt that was given up turns out to have run: keep its files, book its cost, leave the state alone."""
    ran = target is Status.CANCELED and update.started_at is not None
    if target is not Status.STORING and not ran:
        return False
    addresses = [] if ran else catalog.read_output(update.output)
    cost, _ = _actual(prediction, update, output_count=None if ran else len(addresses))
    quotas.correct(reference=attempt.pk, amount_micros=cost, count=1, reason="Found later", now=now)
    Prediction.objects.filter(pk=prediction.pk).update(cost_micros=cost + (prediction.cost_micros or 0))
    _await_outputs(prediction, attempt, addresses, now)
    events.record(prediction=prediction, name="found_later", now=now)
    return True


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
        attempt = _lock_current(prediction)
        if attempt.provider_id and not bound:
            return False
        changes = {**_end(Status.FAILED, now), "error_code": code, "error_message": message, "cost_micros": 0}
        if not _move(prediction, Status.FAILED, held=True, **changes):
            return False
        Attempt.objects.filter(pk=attempt.pk).update(closed_at=now)
        quotas.release(reference=attempt.pk, reason=errors.sentence(code), now=now)
        events.record(prediction=prediction, name=Status.FAILED, now=now, data={"code": code})
    return True


def give_up_set_aside(*, now: datetime) -> None:
    """Outputs whose work kept dying until the provider had deleted them are lost, and their predictions concluded."""
    over = Output.objects.filter(state=Output.State.WAITING, quarantined_at__isnull=False, expires_at__lt=now)
    for output in over:
        lost = {"state": Output.State.LOST, "error_code": "file_expired", "due_at": None}
        if over.filter(pk=output.pk).update(**lost):
            finish_storing(prediction_id=output.prediction_id, now=now)


def finish_storing(*, prediction_id: uuid.UUID, now: datetime) -> bool:
    """Conclude once every output is stored or finally lost; moves no money."""
    with transaction.atomic():
        # Two outputs that end at once must not each believe that the other is still waiting.
        prediction = Prediction.objects.select_for_update(of=("self",)).get(pk=prediction_id)
        if prediction.status != Status.STORING:
            return False
        outputs = list(prediction.outputs.all())
        if any(output.state == Output.State.WAITING for output in outputs):
            return False
        stored = any(output.state == Output.State.STORED for output in outputs)
        target = Status.SUCCEEDED if stored else Status.LOST
        lost = next((output.error_code for output in outputs if output.state == Output.State.LOST), "")
        if _move(prediction, target, **_end(target, now), error_code=lost):
            events.record(prediction=prediction, name=target, now=now)
            return True
    return False
