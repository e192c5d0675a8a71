"""Send one waiting prediction to the provider, once."""

import logging
import secrets
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.statements import updated
from gallery.faultpoints import faultpoint
from gallery.leases import boot_seconds, claim, hand_back, is_fresh, renew, renew_where
from gallery.storage import StorageError
from generation import catalog, events, lifecycle, pauses, providers
from generation.catalog.base import ModelSpec
from generation.models import Attempt, Prediction, ProviderState
from generation.providers.base import (
    AnswerLost,
    InputRefused,
    NotFound,
    NotSent,
    OverBudget,
    Provider,
    ProviderError,
    ProviderPrediction,
    RateLimited,
    Refused,
)
from generation.states import Status
from generation.work import circuit, inputs, schedule
from generation.work.connections import let_go

log = logging.getLogger(__name__)

# Only 429 and 503 prove that nothing was created; these may have come after it was.
UNCERTAIN = frozenset({500, 502, 504})
# `Cancel-After` in seconds. Each of these is held by one unbound attempt of a fingerprint at a time, so that the
# provider's `deadline − created_at` tells them apart when an answer was lost.
SHORTEST_RUN, LONGEST_RUN = 25 * 60, 30 * 60
LONGEST_WAIT = timedelta(hours=24)
LATER = timedelta(seconds=10)


class Withheld(Exception):
    """A switch was thrown, or a cancel came, while the references were on their way."""


def submit(prediction: Prediction) -> None:
    """The submit lane's step for a leased row: mark it sent, send it, and write down what came back."""
    now = timezone.now()
    if prediction.status != Status.QUEUED or prediction.submitted_at:
        hand_back(prediction, due_at=now)
        return
    seen = prediction.door or circuit.look()
    if not _offer(prediction, seen, now):
        circuit.note_untried(seen=seen)


def expire_waiting(*, now: datetime) -> None:
    """End what has waited for a day, also while the door lets nothing out."""
    waiting = Prediction.objects.filter(status=Status.QUEUED, submitted_at=None, provider=settings.PROVIDER)
    for prediction in claim(waiting.filter(created_at__lt=now - LONGEST_WAIT), limit=50):
        if not lifecycle.fail_unsent(prediction=prediction, code="queue_expired", now=now):
            hand_back(prediction, due_at=now)


def _offer(prediction: Prediction, seen: ProviderState, now: datetime) -> bool:
    """Bring it to the provider; False when it ended, or was handed back, before it was sent."""
    if prediction.cancel_requested_at:
        # Asked for while a create was under way that was then refused: nothing is left to be canceled elsewhere.
        lifecycle.cancel_prediction(prediction=prediction, now=now)
        return False
    if now - prediction.created_at > LONGEST_WAIT:
        lifecycle.fail_unsent(prediction=prediction, code="queue_expired", now=now)
        return False
    try:
        spec = catalog.get(prediction.model)
    except catalog.UnknownModel:
        lifecycle.fail_unsent(prediction=prediction, code="model_unavailable", now=now)
        return False
    provider = providers.named(prediction.provider)
    sent = _handed_over(prediction, spec, provider, seen)
    if sent is None:
        return False
    faultpoint("submit.before_mark")
    leased_at = boot_seconds()
    try:
        attempt = _mark(prediction, sent)
    except Withheld:
        hand_back(prediction, due_at=timezone.now())
        return False
    if attempt is None:
        return False
    faultpoint("submit.after_mark")
    if not (is_fresh(leased_at) or renew(prediction)):
        # This process slept since the mark, and others already ask the provider what became of it.
        return True
    _send(prediction, attempt, provider, seen)
    return True


def _handed_over(
    prediction: Prediction, spec: ModelSpec, provider: Provider, seen: ProviderState
) -> dict[str, Any] | None:
    """The exact input, its references at the provider; None when that was not to be had and the row says so."""
    try:
        return inputs.for_provider(prediction=prediction, spec=spec, provider=provider)
    except inputs.ReferenceMissing:
        lifecycle.fail_unsent(prediction=prediction, code="reference_missing", now=timezone.now())
    except StorageError as error:
        if error.status == 404:
            lifecycle.fail_unsent(prediction=prediction, code="reference_missing", now=timezone.now())
        else:
            # Our own store's fault, and no reason to doubt the provider.
            hand_back(prediction, due_at=timezone.now() + LATER)
    except (OverBudget, RateLimited) as error:
        # An upload is no create: it draws on the budget of the other calls, and the queue need not wait for it.
        hand_back(prediction, due_at=schedule.after_pause(error, now=timezone.now()))
    except Refused as error:
        _refused(prediction, error, seen)
    except ProviderError as error:
        log.warning("prediction %s: its references could not be handed over (%s)", prediction.pk, type(error).__name__)
        hand_back(prediction, due_at=circuit.note_fault(now=timezone.now(), seen=seen))
    return None


def _mark(prediction: Prediction, sent: dict[str, Any]) -> Attempt | None:
    """Commit that this attempt is about to leave; None when there is none to send. Raises Withheld."""
    fingerprint = inputs.fingerprint(prediction.model, sent)
    for _ in range(50):
        seconds = SHORTEST_RUN + secrets.randbelow(LONGEST_RUN - SHORTEST_RUN)
        try:
            return _mark_with(prediction, sent, fingerprint, seconds)
        except IntegrityError:
            # Another unbound attempt of the same fingerprint holds these seconds.
            continue
    hand_back(prediction, due_at=timezone.now() + LATER)
    return None


def _mark_with(prediction: Prediction, sent: dict[str, Any], fingerprint: str, seconds: int) -> Attempt | None:
    now = timezone.now()
    with transaction.atomic():
        # The next attempt is opened when the one before is closed: there is one that is open.
        unsent: dict[str, Any] = {"prediction": prediction.pk, "submitted_at": None, "closed_at": None}
        marks: dict[str, Any] = {
            "submitted_at": now,
            "fingerprint": fingerprint,
            "sent_input": sent,
            "cancel_after_seconds": seconds,
        }
        # A cancel that came first has ended the row; one that comes later finds `submitted_at` set.
        waits = {"status": Status.QUEUED, "submitted_at": None, "cancel_requested_at": None}
        switches = pauses.none_for(user_id=prediction.user_id, model=prediction.model)
        marked: list[Attempt] = updated(Attempt, unsent, **marks)
        if not marked:
            return None
        if not renew_where(prediction, waits, also=switches, submitted_at=now):
            raise Withheld
    prediction.submitted_at, marked[0].prediction = now, prediction
    return marked[0]


def webhook_address(attempt: Attempt) -> str | None:
    """Where the provider tells of this attempt; None where it cannot reach us."""
    if not settings.WEBHOOK_ORIGIN:
        return None
    query = urlencode({"prediction": attempt.prediction_id, "token": attempt.address_token})
    return f"{settings.WEBHOOK_ORIGIN}/api/webhooks/replicate?{query}"


def _send(prediction: Prediction, attempt: Attempt, provider: Provider, seen: ProviderState) -> None:
    let_go()
    try:
        answer = provider.create(
            model=prediction.model,
            input=attempt.sent_input or {},
            cancel_after_seconds=attempt.cancel_after_seconds or LONGEST_RUN,
            webhook=webhook_address(attempt),
        )
    except NotSent:
        _unmark(prediction, attempt, due_at=circuit.note_fault(now=timezone.now(), seen=seen))
    except Refused as error:
        if error.status in UNCERTAIN:
            _doubt(prediction, error, seen)
        else:
            _refused(prediction, error, seen, attempt)
    except AnswerLost as error:
        _doubt(prediction, error, seen)
    else:
        faultpoint("create.after_response")
        _accepted(prediction, attempt, answer, seen)


def _accepted(prediction: Prediction, attempt: Attempt, answer: ProviderPrediction, seen: ProviderState) -> None:
    now = timezone.now()
    circuit.note_success(now=now, seen=seen)
    asker = lifecycle.Asker(prediction.lease_token, partial(schedule.next_look_asked, now=now))
    lifecycle.apply_update(attempt=attempt, update=answer, now=now, asker=asker)
    faultpoint("create.applied")
    if not asker.dismissed:
        look_at = schedule.next_look(attempt, model=prediction.model, now=now)
        schedule.hand_back_asked(prediction, look_at=look_at, now=now)


def _doubt(prediction: Prediction, error: AnswerLost | Refused, seen: ProviderState) -> None:
    """Sent, and nothing certain heard: from here on only the webhook or the provider's list can tell."""
    log.warning("prediction %s: the answer to its create was lost (%s)", prediction.pk, error)
    now = timezone.now()
    with transaction.atomic():
        if hand_back(prediction, due_at=now + schedule.FIRST_LOOK):
            events.record(prediction=prediction, name="confirming", now=now)
    if error.status >= 500:
        # What waits is not to end in doubt one after the other.
        circuit.note_fault(now=now, seen=seen)


def _unmark(prediction: Prediction, attempt: Attempt, *, due_at: datetime) -> None:
    """Nothing was created: the row waits again. Under the lease's token, so a verdict reached meanwhile stands."""
    with transaction.atomic():
        unbound = Attempt.objects.filter(pk=attempt.pk, provider_id=None, closed_at=None)
        unbound.update(submitted_at=None, cancel_after_seconds=None)
        if not hand_back(prediction, due_at=due_at, submitted_at=None):
            transaction.set_rollback(True)


def _refused(prediction: Prediction, error: Refused, seen: ProviderState, attempt: Attempt | None = None) -> None:
    now = timezone.now()
    if isinstance(error, InputRefused):
        circuit.note_untried(seen=seen)
        lifecycle.fail_unsent(prediction=prediction, code="input_refused", message=_detail(error), now=now)
    elif isinstance(error, NotFound) and attempt:
        catalog.mark_unavailable(prediction.model, now=now)
        lifecycle.fail_unsent(prediction=prediction, code="model_unavailable", now=now)
    elif not isinstance(error, (NotFound, *circuit.OF_EVERYBODY)):
        lifecycle.fail_unsent(prediction=prediction, code="input_refused", message=error.detail[:2000], now=now)
    elif attempt:
        _unmark(prediction, attempt, due_at=circuit.note_refusal(error, now=now, seen=seen))
    else:
        hand_back(prediction, due_at=circuit.note_refusal(error, now=now, seen=seen))


def _detail(error: InputRefused) -> str:
    fields = "; ".join(f"{name}: {text}" for name, text in error.invalid_fields.items())
    return (fields or error.detail)[:2000]
