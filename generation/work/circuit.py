"""Whether the provider takes work: closed after refusals that concern everybody, tried again once a minute.

What a call brings back counts only while the door stands as it stood when the call left: every closing and opening
leaves another `closed_until` behind, and each change here is one UPDATE that asks for the one that was seen. So an
answer that was long under way neither opens a door that was closed since, nor closes one that was opened since.
"""

import logging
import secrets
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Now

from accounts import alerts
from accounts.statements import read
from generation import providers
from generation.models import ProviderState
from generation.providers.base import NoCredit, ProviderError, RateLimited, Refused, Unauthenticated, Unavailable

log = logging.getLogger(__name__)

PROBE: Final = timedelta(minutes=1)
# The door of a refused token stays closed this much longer than until the next probe, which the chores send when
# they come to it.
SLACK: Final = timedelta(seconds=30)
# Failures in a row before everybody is told to wait.
PATIENCE: Final = 3
# How long creates keep to the rate of an account that is low on credit, counted from the last answer that said so.
SLOW_FOR: Final = timedelta(minutes=10)
JITTER_SECONDS: Final = 1.0
# Refusals that say nothing of the one item that met them.
OF_EVERYBODY: Final = (RateLimited, NoCredit, Unauthenticated, Unavailable)
UNAUTHENTICATED: Final = "unauthenticated"
SENTENCES: Final = {
    "unauthenticated": "The provider does not accept REPLICATE_API_TOKEN; the queue waits, and new work is refused.",
    "no_credit": "The provider's account has no credit left; the queue waits, and new work is refused.",
    "unavailable": "The provider cannot be reached or fails; the queue waits, and new work is refused.",
}


def look() -> ProviderState:
    """The door as it stands; to be seen before a call leaves and handed in with what comes back."""
    found: list[ProviderState] = read(ProviderState, {"provider": settings.PROVIDER})
    return found[0] if found else ProviderState.objects.get_or_create(provider=settings.PROVIDER)[0]


def note_refusal(error: Refused, *, now: datetime, seen: ProviderState | None = None) -> datetime:
    """Close or pause the door as the refusal demands; returns when the refused item may try again."""
    seen = seen or look()
    if isinstance(error, RateLimited):
        return _pause(error, now)
    if isinstance(error, NoCredit | Unauthenticated):
        reason = "no_credit" if isinstance(error, NoCredit) else UNAUTHENTICATED
        _close(seen, reason, PROBE + (SLACK if reason == UNAUTHENTICATED else timedelta()), now)
        return now + PROBE
    return note_fault(now=now, seen=seen)


def note_fault(*, now: datetime, seen: ProviderState | None = None) -> datetime:
    """Count an unreachable or failing provider; returns when to try again: 1, 2, 4 … 60 seconds on, and a little."""
    seen = seen or look()
    wait = timedelta(seconds=min(60, 2 ** min(seen.faults, 6)) * _between(1.0, 1.2))
    _close(seen, "unavailable" if seen.faults + 1 >= PATIENCE else "", wait, now)
    return now + wait


def note_success(*, now: datetime, seen: ProviderState) -> None:
    """The provider took work: open again."""
    if seen.faults:
        _open(seen, now)
    if seen.slow_until:
        over = ProviderState.objects.filter(provider=seen.provider, slow_until__lt=Now())
        with transaction.atomic():
            if over.update(slow_until=None):
                alerts.over("low_credit", now=now)


def note_untried(*, seen: ProviderState) -> None:
    """What was to find out whether the provider takes work ended for a reason of its own: another may try at once."""
    if seen.faults:
        _standing(seen).exclude(closed_reason=UNAUTHENTICATED).update(closed_until=Now() - timedelta(0))


def token_refused() -> bool:
    """Whether nothing should be asked of the provider but what `probe_token` asks."""
    state = look()
    return state.faults > 0 and state.closed_reason == UNAUTHENTICATED


def probe_token(*, now: datetime) -> None:
    """While the token is refused: one account call a minute of all processes, instead of somebody's item."""
    due = ProviderState.objects.filter(
        provider=settings.PROVIDER, closed_reason=UNAUTHENTICATED, faults__gt=0, closed_until__lte=Now() + SLACK
    )
    if not due.exists() or not due.update(closed_until=Now() + PROBE + SLACK):
        return
    seen = look()
    try:
        providers.current().check_account()
    except Unauthenticated:
        alerts.note("provider_unauthenticated", SENTENCES[UNAUTHENTICATED], now=now)
    except ProviderError as error:
        log.warning("whether the token is good could not be asked (%s)", type(error).__name__)
    else:
        _open(seen, now)


def _standing(seen: ProviderState) -> QuerySet[ProviderState]:
    """The door, if it stands as it was seen."""
    return ProviderState.objects.filter(provider=seen.provider, closed_until=seen.closed_until, faults=seen.faults)


def _close(seen: ProviderState, reason: str, wait: timedelta, now: datetime) -> None:
    # A refused token is a matter of the probe alone: nothing that happens meanwhile may put it off.
    door = _standing(seen).exclude(closed_reason=UNAUTHENTICATED, faults__gt=0)
    named = {"closed_reason": reason} if reason else {}
    with transaction.atomic():
        if door.update(closed_until=Now() + wait, faults=seen.faults + 1, **named) and reason:
            alerts.note(f"provider_{reason}", SENTENCES[reason], now=now)


def _open(seen: ProviderState, now: datetime) -> None:
    with transaction.atomic():
        # Not None: that is how the door stood before it was first closed, and answers from then may still come.
        # A sum of times is kept with all its digits, so that it is found again when it is asked for (SQLite).
        if _standing(seen).update(faults=0, closed_until=Now() - timedelta(0), closed_reason=""):
            for reason in SENTENCES:
                alerts.over(f"provider_{reason}", now=now)


def _pause(error: RateLimited, now: datetime) -> datetime:
    """Creates wait for as long as was said; a door that is closed for longer or for a worse reason stays so."""
    wait = timedelta(seconds=(error.retry_after or 10) + _between(0.0, JITTER_SECONDS))
    rows = ProviderState.objects.filter(provider=settings.PROVIDER)
    shorter = rows.filter(Q(closed_until=None) | Q(closed_until__lt=Now() + wait))
    shorter.exclude(closed_reason=UNAUTHENTICATED, faults__gt=0).update(
        closed_until=Now() + wait,
        closed_reason=Case(When(closed_reason="", then=Value("rate_limited")), default=F("closed_reason")),
    )
    if error.per_minute:
        _slow_down(rows, error.per_minute, now)
    return now + wait


def _slow_down(rows: QuerySet[ProviderState], per_minute: int, now: datetime) -> None:
    with transaction.atomic():
        rows.update(slow_until=Now() + SLOW_FOR)
        alerts.note(
            "low_credit",
            f"The provider's account is low on credit and is held to {per_minute} creates a minute.",
            now=now,
        )


def _between(least: float, most: float) -> float:
    """By chance, so that those who were refused together do not all come back in the same moment."""
    return secrets.SystemRandom().uniform(least, most)
