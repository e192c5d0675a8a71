"""What goes on just now: what waits, runs and is stuck, whether provider and store take work, what webhooks bring."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from accounts.models import Alert
from gallery.leases import Leased
from gallery.models import Asset
from generation.models import Circuit, Output, Pause, Prediction, ProviderState, StorageState, WebhookDelivery
from generation.states import OPEN_AT_PROVIDER, Status
from generation.webhooks import rejections

# Leases end after 30 s, so what has been due for so long is attended to by nobody.
LATEST: Final = timedelta(minutes=5)
# The provider ends a run after half an hour at most, and keeps its files for an hour.
LONGEST_RUN: Final = timedelta(minutes=35)
LONGEST_STORING: Final = timedelta(minutes=95)
MOST_NAMED: Final = 8
# How many deliveries are looked at, whatever the day has brought.
MOST_DELIVERIES: Final = 500
RUNNING: Final = (Status.STARTING, Status.PROCESSING)
REASONS: Final = {
    "rate_limited": "it asks for fewer requests",
    "unauthenticated": "the token is refused",
    "no_credit": "no credit left",
    "unavailable": "it cannot be reached or fails",
    "refused": "it refuses our key or bucket",
}


@dataclass(frozen=True)
class Stuck:
    """A prediction that a person has to look at, and why."""

    prediction: Prediction
    why: str


@dataclass(frozen=True)
class Door:
    """Whether something that we depend on takes work; `why` says what is wrong and until when."""

    name: str
    is_open: bool
    why: str = ""


@dataclass(frozen=True)
class Webhooks:
    """Deliveries of the last day: how the newest were taken, and how many were turned away today, by reason."""

    asked_for: bool
    newest_at: datetime | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        return sum(self.outcomes.values())

    @property
    def more(self) -> bool:
        """Whether there were more than were looked at."""
        return self.looked_at >= MOST_DELIVERIES

    @property
    def all_rejected(self) -> int:
        return sum(self.rejected.values())


@dataclass(frozen=True)
class Overview:
    """One look at everything under way."""

    open: Mapping[str, int]
    waiting_since: datetime | None
    stuck_count: int
    stuck: list[Stuck]
    set_aside: list[tuple[str, int]]
    doors: list[Door]
    webhooks: Webhooks
    alerts: list[Alert]
    pauses: list[Pause]

    @property
    def queued(self) -> int:
        return self.open.get(Status.QUEUED, 0)

    @property
    def running(self) -> int:
        return sum(self.open.get(status, 0) for status in RUNNING)

    @property
    def storing(self) -> int:
        return self.open.get(Status.STORING, 0)

    @property
    def all_stuck(self) -> int:
        """Predictions, and files, deliveries and thumbnails."""
        return self.stuck_count + sum(count for _, count in self.set_aside)


def overview(*, now: datetime) -> Overview:
    """Fourteen SELECTs, each of which reads a bounded part of its table by an index."""
    rows = Prediction.objects.unfinished().order_by().values_list("status").annotate(Count("pk"), Min("created_at"))
    found = {status: (count, oldest) for status, count, oldest in rows}
    late = _stuck_predictions(now)
    return Overview(
        open={status: count for status, (count, _) in found.items()},
        waiting_since=found.get(Status.QUEUED, (0, None))[1],
        stuck_count=late.count(),
        stuck=[Stuck(row, _why(row, now)) for row in late.select_related("user")[:MOST_NAMED]],
        set_aside=[(name, count) for name, rows in _others() if (count := rows.filter(_neglected(now)).count())],
        doors=list(_doors(now)),
        webhooks=_webhooks(now),
        alerts=list(Alert.objects.filter(over_at=None)[:MOST_NAMED]),
        pauses=list(Pause.objects.all()[:MOST_NAMED]),
    )


def _neglected(now: datetime) -> Q:
    """Set aside after it killed worker after worker, or due for long and in nobody's hands."""
    idle = Q(lease_until=None) | Q(lease_until__lt=now)
    return Q(quarantined_at__isnull=False) | (Q(due_at__lt=now - LATEST) & idle)


def _stuck_predictions(now: datetime) -> QuerySet[Prediction, Any]:
    # What is unfinished has a `due_at`, and only that: asked for so, and in its order, the index on it is used.
    overdue = Q(status__in=OPEN_AT_PROVIDER, submitted_at__lt=now - LONGEST_RUN)
    unsaved = Q(status=Status.STORING, submitted_at__lt=now - LONGEST_STORING)
    unfinished = Prediction.objects.unfinished().filter(due_at__isnull=False).order_by("due_at")
    return unfinished.filter(_neglected(now) | overdue | unsaved)


def _others() -> Iterator[tuple[str, QuerySet[Leased, Any]]]:
    """What is worked off beside predictions: everything that is due, found by the index on `due_at`."""
    yield "files to be stored", Output.objects.filter(due_at__isnull=False, state=Output.State.WAITING)
    yield "deliveries to be applied", WebhookDelivery.objects.filter(due_at__isnull=False)
    yield "thumbnails to be made", Asset.objects.filter(due_at__isnull=False)


def _why(row: Prediction, now: datetime) -> str:
    if row.quarantined_at:
        return "set aside: work on it has died again and again"
    if row.due_at and row.due_at < now - LATEST and not (row.lease_until and row.lease_until >= now):
        return f"nobody has attended to it for {_minutes(now - row.due_at)}"
    what = "its files are not stored" if row.status == Status.STORING else "the provider has not ended it"
    return f"{what} {_minutes(now - (row.submitted_at or row.created_at))} after it was sent"


def _minutes(passed: timedelta) -> str:
    minutes = int(passed.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _doors(now: datetime) -> Iterator[Door]:
    name = "Replicate" if settings.PROVIDER == "replicate" else "Sandbox provider"
    provider = ProviderState.objects.filter(provider=settings.PROVIDER).first()
    slow = provider is not None and provider.slow_until is not None and provider.slow_until > now
    yield _door(name, provider, now, note="slowed down: the account is low on credit" if slow else "")
    yield _door("Store", StorageState.objects.first(), now)


def _door(name: str, circuit: Circuit | None, now: datetime, note: str = "") -> Door:
    """Closed until then, or tried by one item at a time after failures, or open."""
    if circuit is None:
        return Door(name, True)
    reason = REASONS.get(circuit.closed_reason, circuit.closed_reason) or "it has failed"
    if circuit.closed_until and circuit.closed_until > now:
        until = timezone.localtime(circuit.closed_until)
        return Door(name, False, f"{reason}; tried again at {until:%H:%M:%S}")
    if circuit.faults and circuit.closed_reason:
        return Door(name, False, f"{reason}; the next one tries it")
    return Door(name, True, note)


def _webhooks(now: datetime) -> Webhooks:
    """The newest of a day, so that a busy day costs no more than a quiet one."""
    newest = WebhookDelivery.objects.filter(received_at__gte=now - timedelta(days=1)).order_by("-received_at")
    rows = list(newest.values_list("received_at", "outcome")[:MOST_DELIVERIES])
    counted = Counter(outcome or "waiting" for _, outcome in rows)
    return Webhooks(
        asked_for=bool(settings.WEBHOOK_ORIGIN),
        newest_at=rows[0][0] if rows else None,
        outcomes=dict(counted.most_common()),
        rejected={word: count for word, count in rejections.counted(day=timezone.localdate(now)).items() if count},
    )
