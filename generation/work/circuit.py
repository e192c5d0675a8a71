"""Whether the provider takes work: closed after refusals that concern everybody, probed once a minute."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from generation.models import ProviderState
from generation.providers.base import NoCredit, RateLimited, Refused, Unauthenticated, Unavailable

PROBE = timedelta(minutes=1)
# Unavailable answers in a row before everybody waits.
PATIENCE = 3
# Refusals that say nothing of the one item that met them.
OF_EVERYBODY = (RateLimited, NoCredit, Unauthenticated, Unavailable)


def note_refusal(error: Refused, *, now: datetime) -> datetime:
    """Close or pause the door as the refusal demands; returns when the refused item may try again."""
    state = ProviderState.objects.filter(provider=settings.PROVIDER)
    if isinstance(error, RateLimited):
        until = now + timedelta(seconds=error.retry_after or 10)
        state.update(closed_until=until, closed_reason="rate_limited")
        return until
    if isinstance(error, NoCredit | Unauthenticated):
        reason = "no_credit" if isinstance(error, NoCredit) else "unauthenticated"
        state.update(closed_until=now + PROBE, closed_reason=reason, faults=F("faults") + 1)
        return now + PROBE
    return note_fault(now=now)


def note_fault(*, now: datetime) -> datetime:
    """Count an unreachable or overloaded provider; returns when to try again: 1, 2, 4 … 60 seconds on."""
    rows = ProviderState.objects.filter(provider=settings.PROVIDER)
    rows.update(faults=F("faults") + 1)
    faults = rows.values_list("faults", flat=True).first() or 1
    until = now + timedelta(seconds=min(60, 2 ** min(faults - 1, 6)))
    if faults >= PATIENCE:
        rows.update(closed_until=until, closed_reason="unavailable")
    return until


def note_success() -> None:
    """The provider took work: open again."""
    ProviderState.objects.filter(provider=settings.PROVIDER, faults__gt=0).update(
        faults=0, closed_until=None, closed_reason=""
    )
