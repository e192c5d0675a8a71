"""How the installation is: one look at the database, the same for `/metrics` and for the administrator's page.

Every statement reads a bounded part of its table by an index, and ends after `MOST_SECONDS` on PostgreSQL. Nothing
here names a user, a prompt or a file.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Exists, Min, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import Alert, LedgerEntry
from accounts.spend import standing
from gallery.models import Asset
from generation import lifecycle
from generation.live.relay import sockets
from generation.models import (
    Attempt,
    Circuit,
    OutgoingMessage,
    Output,
    Prediction,
    ProviderState,
    StorageState,
    WebhookDelivery,
)
from generation.states import TERMINAL
from generation.webhooks import rejections
from generation.work.choose import waiting
from generation.work.refresh import sent

log = logging.getLogger(__name__)

MOST_SECONDS: Final = 3
# What is counted at all; more is shown as this many.
MOST_ROWS: Final = 10_000
MOST_ENDS: Final = 2_000
MOST_RESERVATIONS: Final = 2_000
LATELY: Final = timedelta(hours=1)

Reading = tuple[str, str, float]


@dataclass(frozen=True)
class Vital:
    """What is measured: its sentence, the name of its label, and the value from which somebody should look at it."""

    sentence: str
    label: str = ""
    too_much: float | None = None


VITALS: Final = {
    "queue_age_seconds": Vital("Seconds for which the oldest row of a lane has been due and free", "lane", 60),
    "queue_rows": Vital(f"Rows of a lane that are due and free, up to {MOST_ROWS}", "lane"),
    "set_aside_rows": Vital("Rows whose work has killed five workers, left to an administrator", "lane", 1),
    "predictions_unfinished": Vital("Predictions that have not ended", "status"),
    "predictions_ended": Vital(
        f"The newest {MOST_ENDS} predictions asked for within an hour that have ended, by state", "status"
    ),
    "provider_errors": Vital("Those of them that carry an error, by its code", "code"),
    "outputs_unsaved": Vital(f"Files that were paid for and are not stored yet, up to {MOST_ROWS}"),
    "output_unsaved_seconds": Vital("Seconds since the oldest unsaved file was finished at the provider", "", 600),
    "provider_closed": Vital("1 while nothing is sent to the provider, by reason", "reason", 1),
    "store_closed": Vital("1 while nothing is sent to the store, by reason", "reason", 1),
    "webhook_lag_seconds": Vital("Seconds for which the oldest delivery that is kept has not been applied", "", 60),
    "webhooks_rejected": Vital("Deliveries turned away today, by reason", "reason"),
    "reservations_of_finished": Vital(
        f"Of the newest {MOST_RESERVATIONS} reservations, those still held though their prediction has ended", "", 1
    ),
    "spent_usd": Vital("US dollars booked in the current day and month", "period"),
    "held_usd": Vital("US dollars reserved in the current day and month", "period"),
    "budget_usd": Vital("The site's budget of the current day and month, where there is one", "period"),
    "sockets": Vital("Open sockets of the process that answers"),
    "alerts": Vital("1 for each alert that is open", "name", 1),
    "vitals_failed": Vital("1 for each part of these figures that could not be read", "part", 1),
}


def read(*, now: datetime) -> list[Reading]:
    """Name, value of the label, figure; a part whose statement fails is named in `vitals_failed`, the others stay."""
    readings: list[Reading] = []
    for part in PARTS:
        try:
            with _bounded():
                readings += part(now)
        except Exception as error:
            log.warning("vitals: %s could not be read (%s)", part.__name__, type(error).__name__)
            readings.append(("vitals_failed", part.__name__, 1))
    return readings


@contextmanager
def _bounded() -> Iterator[None]:
    """SQLite knows no such limit, and a transaction there would take the lock that everybody writes under."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = '{MOST_SECONDS}s'")
        yield


def lanes(now: datetime) -> Iterator[Reading]:
    """What waits for a worker."""
    rows: dict[str, QuerySet[Any]] = {
        "submit": waiting(),
        "refresh": sent(),
        "deliver": WebhookDelivery.objects.all(),
        "store": Output.objects.filter(state=Output.State.WAITING),
        "derive": Asset.objects.all(),
        "announce": OutgoingMessage.objects.filter(endpoint__disabled_at=None),
    }
    for lane, queryset in rows.items():
        due = queryset.filter(due_at__lte=now, quarantined_at=None).exclude(lease_until__gt=now)
        oldest = due.aggregate(oldest=Min("due_at"))["oldest"]
        yield "queue_age_seconds", lane, _seconds(oldest, now)
        yield "queue_rows", lane, due.order_by()[:MOST_ROWS].count()
        set_aside = queryset.filter(due_at__isnull=False, quarantined_at__isnull=False)
        yield "set_aside_rows", lane, set_aside.order_by()[:MOST_ROWS].count()


def predictions(now: datetime) -> Iterator[Reading]:
    """What is under way, and how the last hour's have ended."""
    under_way = Prediction.objects.unfinished().order_by().values_list("status").annotate(Count("pk"))
    for status, count in under_way:
        yield "predictions_unfinished", status, count
    newest = Prediction.objects.filter(created_at__gt=now - LATELY).order_by("-created_at", "-pk")
    ended = Prediction.objects.filter(pk__in=newest.values("pk")[:MOST_ENDS], status__in=TERMINAL).order_by()
    for status, count in ended.values_list("status").annotate(Count("pk")):
        yield "predictions_ended", status, count
    for code, count in ended.exclude(error_code="").values_list("error_code").annotate(Count("pk")):
        yield "provider_errors", code, count


def outputs(now: datetime) -> Iterator[Reading]:
    """What has been paid for and can still be lost: the provider keeps a file for an hour."""
    unsaved = Output.objects.filter(state=Output.State.WAITING)
    first = unsaved.aggregate(first=Min("expires_at"))["first"]
    yield "outputs_unsaved", "", unsaved.order_by()[:MOST_ROWS].count()
    yield "output_unsaved_seconds", "", _seconds(first and first - lifecycle.RETENTION, now)


def doors(now: datetime) -> Iterator[Reading]:
    """Whether provider and store take work."""
    circuits: dict[str, Circuit | None] = {
        "provider_closed": ProviderState.objects.filter(provider=settings.PROVIDER).first(),
        "store_closed": StorageState.objects.first(),
    }
    for name, circuit in circuits.items():
        closed = circuit is not None and circuit.closed_until is not None and circuit.closed_until > now
        yield name, (circuit.closed_reason if circuit and closed else ""), float(closed)


def webhooks(now: datetime) -> Iterator[Reading]:
    """What the provider tells us and has not been heard yet, and what was refused."""
    kept = WebhookDelivery.objects.filter(due_at__isnull=False).aggregate(oldest=Min("received_at"))["oldest"]
    yield "webhook_lag_seconds", "", _seconds(kept, now)
    counted = rejections.counted(day=timezone.localdate(now))
    for reason in rejections.REASONS:
        yield "webhooks_rejected", reason, counted.get(reason, 0)


def money(now: datetime) -> Iterator[Reading]:
    """What was spent, what is held, and what is held for nothing."""
    newest = LedgerEntry.objects.filter(kind="reserve").order_by("-pk").values("pk")[:MOST_RESERVATIONS]
    closed = LedgerEntry.objects.filter(reference=OuterRef("reference"), kind__in=["settle", "release"])
    ended = Attempt.objects.filter(pk=OuterRef("reference"), prediction__status__in=TERMINAL)
    held = LedgerEntry.objects.filter(~Exists(closed), Exists(ended), pk__in=newest)
    yield "reservations_of_finished", "", held.count()
    site = standing(now=now)
    for period, meter in (("day", site.today), ("month", site.month)):
        yield "spent_usd", period, meter.settled / 1_000_000
        yield "held_usd", period, meter.reserved / 1_000_000
        if meter.limit is not None:
            yield "budget_usd", period, meter.limit / 1_000_000


def here(now: datetime) -> Iterator[Reading]:
    """What only this process knows, and what administrators were told."""
    yield "sockets", "", sockets()
    for name in Alert.objects.filter(over_at=None).values_list("name", flat=True)[:100]:
        yield "alerts", name, 1


def _seconds(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


Part = Callable[[datetime], Iterator[Reading]]
PARTS: Final[tuple[Part, ...]] = (lanes, predictions, outputs, doors, webhooks, money, here)
