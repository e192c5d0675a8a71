"""Find out what became of a create whose answer was lost: by the provider's complete list, never by sending again."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from generation import lifecycle
from generation.models import Attempt, Prediction
from generation.providers.base import Provider, ProviderPrediction

log = logging.getLogger(__name__)

# How far the provider's clock may be from ours.
SKEW = timedelta(minutes=1)
# Only a complete list that is read this long after sending may say that nothing was created.
VERDICT_AFTER = timedelta(minutes=5)


def next_look(attempt: Attempt, *, now: datetime) -> datetime:
    """2, 4, 8 … 60 seconds apart, and at the moment at which a verdict is possible."""
    sent_at = attempt.submitted_at or now
    pause = min(max(now - sent_at, timedelta(seconds=2)), timedelta(seconds=60))
    verdict_at = sent_at + VERDICT_AFTER
    return min(now + pause, verdict_at) if now < verdict_at else now + pause


def resolve(*, attempt: Attempt, provider: Provider, now: datetime) -> bool:
    """Bind the attempt to its prediction at the provider, or give it up for lost; True when either was done.

    Raises `ProviderError` when the list cannot be read completely: that proves nothing.
    """
    sent_at = attempt.submitted_at or now
    listed = list(provider.list_since(sent_at - SKEW))
    match = _match(attempt, listed)
    if match is not None:
        lifecycle.apply_update(attempt=attempt, update=match, now=now)
        return True
    if now - sent_at < VERDICT_AFTER:
        return False
    attempt.refresh_from_db()
    return attempt.doubtful and lifecycle.fail_unsent(prediction=attempt.prediction, code="lost_in_sending", now=now)


def _match(attempt: Attempt, listed: Sequence[ProviderPrediction]) -> ProviderPrediction | None:
    bound = set(
        Attempt.objects.filter(provider_id__in=[item.id for item in listed]).values_list("provider_id", flat=True)
    )
    alike = [
        item
        for item in listed
        if item.id not in bound and item.model == attempt.prediction.model and dict(item.input) == attempt.sent_input
    ]
    told_apart = [item for item in alike if _run_seconds(item) == attempt.cancel_after_seconds]
    if told_apart:
        return told_apart[0] if len(told_apart) == 1 else None
    nameless = sorted((item for item in alike if item.deadline is None), key=_age)
    return _oldest_to_oldest(attempt, nameless) if nameless else None


def _run_seconds(item: ProviderPrediction) -> int | None:
    if item.deadline is None or item.created_at is None:
        return None
    return round((item.deadline - item.created_at).total_seconds())


def _age(item: ProviderPrediction) -> tuple[str, str]:
    return (item.created_at.isoformat() if item.created_at else "", item.id)


def _oldest_to_oldest(attempt: Attempt, nameless: Sequence[ProviderPrediction]) -> ProviderPrediction | None:
    """Where the provider reports no deadline: alike attempts of one owner are interchangeable, of several are not."""
    rivals = list(
        Attempt.objects.filter(
            provider=attempt.provider,
            fingerprint=attempt.fingerprint,
            submitted_at__isnull=False,
            provider_id=None,
            closed_at=None,
        )
        .order_by("submitted_at", "pk")
        .select_related("prediction")
    )
    if len({rival.prediction.user_id for rival in rivals}) > 1:
        log.error("attempt %s: alike attempts of several owners cannot be told apart", attempt.pk)
        Prediction.objects.filter(pk__in=[rival.prediction_id for rival in rivals]).update(
            quarantined_at=timezone.now()
        )
        return None
    place = next((n for n, rival in enumerate(rivals) if rival.pk == attempt.pk), len(nameless))
    return nameless[place] if place < len(nameless) else None
