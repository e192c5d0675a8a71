"""Find out what became of a create whose answer was lost: by the provider's complete list, never by sending again."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from gallery.faultpoints import faultpoint
from generation import lifecycle
from generation.models import Attempt, Prediction
from generation.providers.base import Provider, ProviderPrediction

log = logging.getLogger(__name__)

# How far the provider's clock may be from ours.
SKEW = timedelta(minutes=15)
# The same where nothing but its age tells an attempt's prediction from an older one of the same input.
DRIFT = timedelta(minutes=1)
# Only a complete list that is read this long after sending may say that nothing was created.
VERDICT_AFTER = timedelta(minutes=5)


class Ambiguous(Exception):
    """The list shows predictions that may or may not be this attempt's."""


def next_look(attempt: Attempt, *, now: datetime) -> datetime:
    """2, 4, 8 … 60 seconds apart, and at the moment at which a verdict is possible."""
    sent_at = attempt.submitted_at or now
    pause = min(max(now - sent_at, timedelta(seconds=2)), timedelta(seconds=60))
    verdict_at = sent_at + VERDICT_AFTER
    return min(now + pause, verdict_at) if now < verdict_at else now + pause


def resolve(*, prediction: Prediction, attempt: Attempt, provider: Provider, now: datetime) -> None:
    """Bind the attempt to its prediction at the provider, or give it up for lost, or wait.

    What stays ambiguous when a verdict is due is set aside for an administrator. Raises `ProviderError` when the
    list cannot be read completely: that proves nothing.
    """
    sent_at = attempt.submitted_at or now
    listed = list(provider.list_since(sent_at - SKEW))
    faultpoint("doubt.listed")
    verdict_due = now - sent_at >= VERDICT_AFTER
    try:
        match = _match(attempt, listed)
    except Ambiguous as error:
        if verdict_due:
            log.error("attempt %s is set aside: %s", attempt.pk, error)
            Prediction.objects.filter(pk=prediction.pk).update(quarantined_at=now)
        return
    if match is not None:
        lifecycle.apply_update(attempt=attempt, update=match, now=now)
    elif verdict_due:
        lifecycle.fail_unsent(prediction=prediction, code="lost_in_sending", now=now)


def unbound(listed: Sequence[ProviderPrediction]) -> list[ProviderPrediction]:
    """Those of `listed` that no attempt of ours is bound to."""
    ids = [item.id for item in listed]
    bound = set(Attempt.objects.filter(provider_id__in=ids).values_list("provider_id", flat=True))
    return [item for item in listed if item.id not in bound]


def told_apart(attempt: Attempt, free: Sequence[ProviderPrediction]) -> list[ProviderPrediction]:
    """Those of `free` that have the attempt's model, input and run time: one, unless something is wrong."""
    own = [
        item
        for item in free
        if item.model == attempt.prediction.model and _run_seconds(item) == attempt.cancel_after_seconds
    ]
    # The provider erases inputs after an hour; deadline and model still speak.
    return [item for item in own if _same_input(item, attempt)] or [item for item in own if item.data_removed]


def nameless(attempt: Attempt, free: Sequence[ProviderPrediction]) -> list[ProviderPrediction]:
    """Those of `free` that have the attempt's model and input and no deadline to tell them by, oldest first."""
    alike = (item for item in free if item.model == attempt.prediction.model and _same_input(item, attempt))
    return sorted((item for item in alike if item.deadline is None and _after(item, attempt)), key=_age)


def _match(attempt: Attempt, listed: Sequence[ProviderPrediction]) -> ProviderPrediction | None:
    """The attempt's prediction, or None when the list shows that there is none; raises `Ambiguous`."""
    free = unbound(listed)
    own = told_apart(attempt, free)
    if len(own) > 1:
        raise Ambiguous("several predictions have its deadline")
    if own:
        return own[0]
    alike = nameless(attempt, free)
    return _oldest_to_oldest(attempt, alike) if alike else None


def _same_input(item: ProviderPrediction, attempt: Attempt) -> bool:
    return dict(item.input) == attempt.sent_input


def _run_seconds(item: ProviderPrediction) -> int | None:
    if item.deadline is None or item.created_at is None:
        return None
    return round((item.deadline - item.created_at).total_seconds())


def _after(item: ProviderPrediction, attempt: Attempt) -> bool:
    """Whether it can have come of this attempt by its age alone, which must do where there is no deadline."""
    return not (item.created_at and attempt.submitted_at) or item.created_at > attempt.submitted_at - DRIFT


def _age(item: ProviderPrediction) -> tuple[str, str]:
    return (item.created_at.isoformat() if item.created_at else "", item.id)


def _oldest_to_oldest(attempt: Attempt, alike: Sequence[ProviderPrediction]) -> ProviderPrediction | None:
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
        raise Ambiguous("alike attempts of several owners, and no deadline tells them apart")
    place = next((n for n, rival in enumerate(rivals) if rival.pk == attempt.pk), len(alike))
    return alike[place] if place < len(alike) else None
