"""Look at a prediction that was sent: ask the provider, ask it to end, or find out whether it has it at all."""

import logging
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gallery.faultpoints import faultpoint
from gallery.leases import Claims, hand_back, renew
from generation import events, lifecycle, providers
from generation.models import Attempt, Prediction, PredictionEvent, PredictionQuerySet
from generation.providers.base import (
    NotFound,
    OverBudget,
    Provider,
    ProviderError,
    ProviderPrediction,
    RateLimited,
    Unauthenticated,
)
from generation.states import FROM_REPLICATE, Status
from generation.work import circuit, doubt, schedule
from generation.work.connections import let_go

log = logging.getLogger(__name__)

AFTER_FAULT = timedelta(seconds=5)
# How long after its deadline the provider may take to end a run before we ask for it.
PATIENCE = timedelta(minutes=1)
# A provider that has not answered at all for so long is not waited for any more.
LONGEST_SILENCE = timedelta(hours=24)


def take(limit: int) -> list[Prediction]:
    """Lease those that are due, the first first."""
    return _claims(settings.PROVIDER).take(limit)


def sent(provider: str = "") -> PredictionQuerySet:
    """Unfinished, and not waiting for its turn at the provider that this installation has."""
    ours = provider or settings.PROVIDER
    return Prediction.objects.unfinished().exclude(status=Status.QUEUED, submitted_at=None, provider=ours)


@lru_cache
def _claims(provider: str) -> Claims:
    return Claims(lambda: sent(provider))


def refresh(prediction: Prediction) -> None:
    """The refresh lane's step for a leased row."""
    now = timezone.now()
    if prediction.status == Status.STORING:
        if not lifecycle.finish_storing(prediction_id=prediction.pk, now=now):
            hand_back(prediction, due_at=now + lifecycle.STORING_WATCH)
        return
    attempt = lifecycle.current_attempt(prediction)
    try:
        provider = providers.named(prediction.provider)
    except LookupError:
        lifecycle.abandon(prediction=prediction, code="provider_gone", now=now)
        return
    try:
        let_go()
        if attempt.provider_id is None:
            _tell_doubt(prediction, attempt, now)
            doubt.resolve(prediction=prediction, attempt=attempt, provider=provider, now=now)
        else:
            _ask(prediction, attempt, provider)
    except (OverBudget, RateLimited) as error:
        hand_back(prediction, due_at=schedule.after_pause(error, now=timezone.now()))
    except ProviderError as error:
        log.warning("prediction %s could not be looked at (%s)", prediction.pk, type(error).__name__)
        hand_back(prediction, due_at=_after_fault(error))
    else:
        now = timezone.now()
        attempt.refresh_from_db()
        usual = schedule.next_look(attempt, model=prediction.model, now=now)
        look_at = doubt.next_look(attempt, now=now) if attempt.doubtful else usual
        schedule.hand_back_asked(prediction, look_at=look_at, now=now)


def _tell_doubt(prediction: Prediction, attempt: Attempt, now: datetime) -> None:
    """That the provider has to confirm it: a worker that died while it sent could not say so."""
    sent_at = attempt.submitted_at or now
    told = PredictionEvent.objects.filter(prediction=prediction, name="confirming", created_at__gte=sent_at)
    if told.exists():
        return
    with transaction.atomic():
        if renew(prediction):
            events.record(prediction=prediction, name="confirming", now=now)


def _after_fault(error: ProviderError) -> datetime:
    """When to look again; a refused token is everybody's, a 403 may be about this one prediction."""
    now = timezone.now()
    if isinstance(error, Unauthenticated) and error.status == 401:
        return circuit.note_refusal(error, now=now)
    return now + AFTER_FAULT


def _ask(prediction: Prediction, attempt: Attempt, provider: Provider) -> None:
    now, provider_id = timezone.now(), attempt.provider_id or ""
    try:
        update = _cancel(provider_id, provider) if prediction.cancel_requested_at else provider.get(provider_id)
        overdue = _overdue(attempt, update, provider)
        if overdue > PATIENCE and not prediction.cancel_requested_at:
            update = _cancel(provider_id, provider)
            overdue = _overdue(attempt, update, provider)
    except ProviderError as error:
        if attempt.submitted_at and now - attempt.submitted_at > _patience_after(error):
            code = "vanished" if isinstance(error, NotFound) else "timed_out"
            lifecycle.abandon(prediction=prediction, code=code, now=now)
            return
        raise
    if overdue > lifecycle.RETENTION:
        lifecycle.abandon(prediction=prediction, code="timed_out", now=now)
        return
    faultpoint("refresh.answered")
    lifecycle.apply_update(attempt=attempt, update=update, now=timezone.now())


def _patience_after(error: ProviderError) -> timedelta:
    """How long after sending what the provider does not tell of is waited for."""
    return lifecycle.RETENTION if isinstance(error, NotFound) else LONGEST_SILENCE


def _overdue(attempt: Attempt, update: ProviderPrediction, provider: Provider) -> timedelta:
    """For how long it runs on past its deadline, by the provider's own clock, as ours may have jumped."""
    if FROM_REPLICATE.get(update.status) not in (None, Status.STARTING, Status.PROCESSING):
        return timedelta()
    run = timedelta(seconds=attempt.cancel_after_seconds or 0)
    deadline = update.deadline or (update.created_at + run if update.created_at and run else None)
    return provider.now() - deadline if deadline else timedelta()


def _cancel(provider_id: str, provider: Provider) -> ProviderPrediction:
    """Ask for the end; what cannot be canceled is looked at instead."""
    try:
        update = provider.cancel(provider_id)
    except ProviderError:
        return provider.get(provider_id)
    faultpoint("cancel.asked")
    return update
