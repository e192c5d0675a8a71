"""Predictions at the provider that no attempt of ours is bound to: somebody else's, or one that we gave up too soon."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from generation import lifecycle
from generation.models import Attempt
from generation.providers.base import Provider, ProviderPrediction
from generation.work import doubt

# Half an hour of run at most, and the hour for which the provider keeps what came of it.
LOOK_BACK = timedelta(hours=2)
# Ends of ours that say nothing of what the provider did. A clean refusal is none of them.
GIVEN_UP = ("lost_in_sending", "provider_gone")


@dataclass
class Strays:
    """`foreign` fit no attempt of ours, `found` were bound to theirs, of `unclear` it cannot be told whose they are."""

    foreign: int = 0
    found: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)


def claim_strays(*, provider: Provider, now: datetime) -> Strays:
    """Read the provider's list of the last two hours, and bind what can only be one doubtful or lost attempt's.

    Raises `ProviderError` when the list cannot be read completely.
    """
    listed = list(provider.list_since(now - LOOK_BACK))
    # Asked after the list was read: what was bound meanwhile is no stray.
    free = doubt.unbound(listed)
    unheard = _unheard(provider, now)
    theirs = {attempt.pk: _fitting(attempt, free) for attempt in unheard}
    claims: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in unheard:
        for item in theirs[attempt.pk]:
            claims[item.id].append(attempt)
    strays = Strays(foreign=sum(item.id not in claims for item in free))
    for item in (item for item in free if item.id in claims):
        attempts = claims[item.id]
        if any(_under_way(attempt, now) for attempt in attempts):
            # Whoever is sending it will be told.
            continue
        alone = len(attempts) == 1 and len(theirs[attempts[0].pk]) == 1
        if alone and item.deadline is not None:
            _bind(attempts[0], item, strays, now)
        elif _overdue(attempts, now):
            names = " or ".join(str(attempt.pk) for attempt in attempts)
            strays.unclear.append(f"prediction {item.id} at the provider may be that of attempt {names}")
    return strays


def _unheard(provider: Provider, now: datetime) -> list[Attempt]:
    """Attempts that were sent and of which the provider has never told, in doubt or given up."""
    sent = Attempt.objects.filter(
        provider=provider.name, provider_id=None, submitted_at__gt=now - LOOK_BACK - doubt.SKEW
    )
    rows = sent.filter(Q(closed_at=None) | Q(prediction__error_code__in=GIVEN_UP))
    return list(rows.select_related("prediction").order_by("submitted_at", "pk"))


def _fitting(attempt: Attempt, free: Sequence[ProviderPrediction]) -> list[ProviderPrediction]:
    near = [item for item in free if _near(item, attempt)]
    return doubt.told_apart(attempt, near) or doubt.nameless(attempt, near)


def _near(item: ProviderPrediction, attempt: Attempt) -> bool:
    """Whether it was made when the attempt was sent, as far as two clocks can agree."""
    if item.created_at is None or attempt.submitted_at is None:
        return True
    return abs(item.created_at - attempt.submitted_at) <= doubt.SKEW


def _under_way(attempt: Attempt, now: datetime) -> bool:
    """Whether a worker is sending it at this moment, or looks for it himself."""
    lease_until = attempt.prediction.lease_until
    return attempt.closed_at is None and lease_until is not None and lease_until > now


def _bind(attempt: Attempt, item: ProviderPrediction, strays: Strays, now: datetime) -> None:
    lifecycle.apply_update(attempt=attempt, update=item, now=now)
    if Attempt.objects.filter(pk=attempt.pk, provider_id=item.id).exists():
        what = "given up for lost" if attempt.closed_at else "in doubt"
        strays.found.append(f"attempt {attempt.pk}, {what}, is prediction {item.id} at the provider")


def _overdue(attempts: Iterable[Attempt], now: datetime) -> bool:
    """Whether one of them is past the time in which doubt resolves itself."""
    return any(attempt.submitted_at is None or now - attempt.submitted_at > doubt.VERDICT_AFTER for attempt in attempts)
