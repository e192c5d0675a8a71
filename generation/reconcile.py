"""One pass over everything unfinished or doubtful, and over the money: what was found, and what stays wrong."""

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from accounts import quotas
from accounts.models import LedgerEntry
from generation.models import Attempt, Output, Prediction
from generation.states import TERMINAL
from generation.work.loop import run_once


@dataclass
class Findings:
    """`seen` is what was looked at or mended, `wrong` what still needs a person."""

    seen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def reconcile(*, now: datetime) -> Findings:
    """Ask the provider about every unfinished row, store what is missing, recompute the balances."""
    findings = Findings()
    for model in (Prediction, Output):
        # Another chance for what was set aside; what still cannot be done is set aside again.
        model._default_manager.exclude(quarantined_at=None).update(quarantined_at=None, claims=0)
    unfinished = Prediction.objects.unfinished()
    count = unfinished.filter(lease_token=None).update(due_at=now)
    Output.objects.filter(state=Output.State.WAITING, lease_token=None).update(due_at=now)
    findings.seen.append(f"{count} unfinished predictions looked at")
    while run_once():
        if (timezone.now() - now).total_seconds() > 300:
            break
    findings.seen += quotas.recompute(now=timezone.now())
    findings.wrong += _open_reservations() + _set_aside()
    return findings


def _open_reservations() -> list[str]:
    """Reservations of predictions that have ended: money held for nothing."""
    ended = Prediction.objects.filter(status__in=TERMINAL).values("pk")
    closed = LedgerEntry.objects.filter(kind__in=["settle", "release"]).values("reference")
    held = Attempt.objects.filter(
        Q(pk__in=LedgerEntry.objects.filter(kind="reserve").values("reference")), prediction__in=ended
    ).exclude(pk__in=closed)
    return [f"attempt {attempt.pk} has ended and still holds a reservation" for attempt in held]


def _set_aside() -> list[str]:
    rows = Prediction.objects.unfinished().exclude(quarantined_at=None)
    return [f"prediction {row.pk} is set aside for an administrator" for row in rows]
