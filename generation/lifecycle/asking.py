"""A creator asks, or asks again: doors, reservation, the row in the queue."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, Q, QuerySet, Subquery
from django.utils.translation import gettext

from accounts import quotas, storage_room
from accounts.confirmation import may_spend
from accounts.limits import Guard, guards, with_limits
from accounts.models import ApiToken, User
from accounts.prepared import Prepared
from accounts.statements import insert
from gallery.faultpoints import faultpoint
from generation import catalog, events, pauses, pricing
from generation.catalog.base import ModelSpec, Parsed
from generation.lifecycle.depth import QueueFull, next_number
from generation.models import Attempt, Output, Pause, Prediction, ProviderState
from generation.states import RETRYABLE, Status

# What waits for the store with less time than this left closes the door: each success would be paid and lost.
LEAST_TIME_TO_STORE = timedelta(minutes=20)
# Why an output waits when it is not the provider's doing.
OUR_TROUBLES = ("storage_unavailable", "disk_full")
# Reasons for which the door is closed to creators too; a rate limit only makes the queue wait.
CLOSING_REASONS = frozenset({"unauthenticated", "no_credit", "unavailable"})


# So long a key finds what it made; then it may make something else.
KEYS_KEPT = timedelta(hours=24)


class IdempotencyConflict(Exception):
    """The same key came with another request."""


class SubmissionsClosed(Exception):
    """The provider cannot take work just now; nothing was created and nothing is held.

    `reason` is the sentence that says why; `sentence` says too what that means for a request that was made.
    """

    def __init__(self, reason: str, advice: str, *, retry_after_seconds: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sentence = f"{reason} {advice}"
        self.retry_after_seconds = retry_after_seconds


class EmailNotConfirmed(Exception):
    """The account spends nothing before its address is confirmed."""


class ModelUnavailable(Exception):
    """The provider no longer offers the model; `fallback` is another's id to propose, or empty."""

    def __init__(self, model: str, *, fallback: str) -> None:
        super().__init__(model)
        self.model = model
        self.fallback = fallback


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
    first_run: Prediction | None = None,
    quoted: Sequence[dict[str, Any]] | None = None,
    doors_passed: bool = False,
    looked: bool = False,
) -> Prediction:
    """Reserve the money and put the request in the queue, in one transaction and without network.

    `asked` is the request as it was given, references not yet brought in: what makes two requests the same. The same
    `idempotency_key` of the same user with the same request answers the prediction that it made first, within a day
    (`was_created` is False on it); `looked` says that `find_repeat` was asked for it just now. `quoted` are the price
    rules that were shown (see `generation.quotes`), not the day's; they make it no other request. `first_run` is the
    one beside which this is asked for once more. With `doors_passed` the same call has just let the user in for this
    model (`check_doors`). Raises `QuotaExceeded`, `IdempotencyConflict`, `SubmissionsClosed`, `QueueFull`, `Paused`,
    `StorageFull`, `EmailNotConfirmed` and `ModelUnavailable`; then nothing has changed.
    """
    digest = _digest(spec.id, parsed.inputs if asked is None else asked)
    if idempotency_key and not looked and (twin := _twin(user, idempotency_key, digest, now)):
        return twin
    limits = None if doors_passed else check_doors(user=user, spec=spec, now=now, token_id=token_id)
    prediction = Prediction(
        user=user,
        type=spec.type,
        provider=settings.PROVIDER,
        model=spec.id,
        prompt=parsed.inputs.get("prompt", ""),
        input=parsed.inputs,
        warnings=parsed.warnings,
        retry_of=retry_of,
        first_run=first_run,
        idempotency_key=idempotency_key or None,
        request_digest=digest,
        created_at=now,
        due_at=now,
    )
    # Prices and limits of this moment are read first: on SQLite nobody else writes while the room is taken.
    quote = pricing.quote(spec=spec, inputs=prediction.input, now=now, quoted=quoted)
    passed = list(guards(user=user, provider=prediction.provider, token_id=token_id, now=now, found=limits))
    try:
        with transaction.atomic():
            _enter(prediction, spec, quote, passed)
            faultpoint("ask.before_commit")
    except (IntegrityError, quotas.QuotaExceeded, QueueFull):
        # A twin sent at the same moment may have won, and may have taken the last room in the budget or the queue.
        if idempotency_key and (twin := _twin(user, idempotency_key, digest, now)):
            return twin
        raise
    faultpoint("ask.after_commit")
    return prediction


def find_repeat(
    *, user: User, model: str, asked: Mapping[str, Any], idempotency_key: str | None, now: datetime
) -> Prediction | None:
    """What this key has made of the same request within a day; to be asked before references are brought in.

    Raises `IdempotencyConflict` when it belongs to another request.
    """
    return _twin(user, idempotency_key, _digest(model, asked), now) if idempotency_key else None


def _digest(model: str, value: Mapping[str, Any]) -> str:
    text = json.dumps([model, value], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _twin(user: User, key: str, digest: str, now: datetime) -> Prediction | None:
    known = Prediction.objects.for_owner(user).filter(idempotency_key=key)
    twin = known.filter(created_at__gt=now - KEYS_KEPT).first()
    if twin and twin.request_digest != digest:
        raise IdempotencyConflict(key)
    return twin


def check_doors(
    *,
    user: User,
    spec: ModelSpec,
    now: datetime,
    thrown: pauses.Pauses | None = None,
    token_id: uuid.UUID | None = None,
) -> dict[str, Any]:
    """Whatever keeps this model's requests of this user out for now, other than limits and the length of the queue.

    `thrown` are the kill switches, where they were read already. Returns the limits that were read with it, for
    `guards`. Raises `EmailNotConfirmed`, `ModelUnavailable`, `Paused`, `StorageFull` and `SubmissionsClosed`.
    """
    if not may_spend(user):
        raise EmailNotConfirmed
    asked: dict[str, Any] = {"model": spec.id, "provider": settings.PROVIDER, "latest": now + LEAST_TIME_TO_STORE}
    found = (
        DOORS_OF_TOKEN(user_id=user.pk, now=now, api_tokens=token_id, **asked)
        if token_id
        else DOORS(user_id=user.pk, now=now, **asked)
    )
    if not found:
        raise ApiToken.DoesNotExist if token_id else User.DoesNotExist
    [door] = found
    if door["gone"]:
        raise ModelUnavailable(spec.id, fallback=spec.fallback)
    if door["paused"] or thrown:
        pauses.check(user_id=user.pk, model=spec.id, thrown=thrown)
    storage_room.check(storage_room.read(door))
    if door["closed_until"]:
        raise SubmissionsClosed(
            gettext("The provider cannot take new work just now."),
            gettext("Nothing was charged; please try again in a minute."),
            retry_after_seconds=max(1, int((door["closed_until"] - now).total_seconds())),
        )
    if door["behind"]:
        raise SubmissionsClosed(
            gettext("Finished pictures are waiting to be saved, so nothing new is started."),
            gettext("Nothing was charged."),
            retry_after_seconds=60,
        )
    return door


def storing_is_behind(*, now: datetime) -> bool:
    """Whether an output that we fail to store has less than twenty minutes left before the provider deletes it."""
    return bool(LATE(latest=now + LEAST_TIME_TO_STORE))


def late_to_store(latest: datetime) -> QuerySet[Output]:
    """Those outputs, which the provider deletes before `latest`.

    A spooled one counts too: its only copy here is on one host. Neither counts what says nothing of the store: one
    that is set aside, or too large for it.
    """
    ours = Q(error_code__in=OUR_TROUBLES) | ~Q(spool_host="")
    waiting = Output.objects.filter(ours, state=Output.State.WAITING, quarantined_at=None)
    return waiting.exclude(error_code="file_too_large").filter(expires_at__lt=latest)


LATE = Prepared(lambda latest: late_to_store(latest).values("pk")[:1], latest=datetime)


def _doors(
    *, model: str, provider: str, now: datetime, latest: datetime, **whose: Any
) -> QuerySet[User, dict[str, Any]]:
    closed = ProviderState.objects.filter(provider=provider, closed_until__gt=now)
    return with_limits(
        *storage_room.COLUMNS,
        **whose,
        now=now,
        paused=Exists(Pause.objects.all()),
        gone=Exists(catalog.marked_unavailable().filter(model=model)),
        closed_until=Subquery(closed.filter(closed_reason__in=CLOSING_REASONS).values("closed_until")),
        behind=Exists(late_to_store(latest)),
    )


ASKED: Final = {"user_id": int, "model": str, "provider": str, "now": datetime, "latest": datetime}
DOORS = Prepared(_doors, **ASKED)
DOORS_OF_TOKEN = Prepared(_doors, **ASKED, api_tokens=uuid.UUID)


def _enter(prediction: Prediction, spec: ModelSpec, quote: pricing.Quote, passed: list[Guard]) -> None:
    """Reserve the money of a new prediction, give it its number and put it in the queue."""
    user, now, attempt_id = prediction.user, prediction.created_at, uuid.uuid4()
    if prediction.idempotency_key:
        # Of two who find the key old, one makes the new prediction: the other meets the constraint.
        old = Prediction.objects.for_owner(user).filter(idempotency_key=prediction.idempotency_key)
        old.filter(created_at__lte=now - KEYS_KEPT).update(idempotency_key=None)
    _, usage = quotas.reserve(
        user=user,
        reference=attempt_id,
        amount_micros=quote.amount_micros,
        provider=prediction.provider,
        model=spec.id,
        now=now,
        passed=passed,
    )
    prediction.number = next_number(user=user, spec=spec)
    prediction.estimated_micros, prediction.quote = quote.amount_micros, quote.as_json()
    # The row names its first event; that the event names the row is looked at when all is committed.
    events.enter(prediction=prediction, name=Status.QUEUED, now=now)
    insert(prediction)
    insert(Attempt(id=attempt_id, prediction=prediction, provider=prediction.provider, created_at=now))
    prediction.was_created, prediction.usage = True, usage


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
        # A key that tried one again does not stand for another that was like it.
        asked={"retryOf": str(prediction.pk)},
        token_id=token_id,
        retry_of=prediction,
    )
