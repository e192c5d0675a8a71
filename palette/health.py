"""For those who watch: does the process answer, and does what it stands on answer."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min, QuerySet
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

import gallery.storage
from gallery.leases import Leased
from gallery.models import Asset
from generation.models import Output, Prediction, WebhookDelivery

log = logging.getLogger(__name__)

# Leases end after 30 s and a killed process's rows restart within 45 s: older than this, nobody is working.
LATEST: Final = timedelta(minutes=5)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, queue and storage answer, else 503 that names which does not (and not why)."""
    now = timezone.now()
    checks = {name: outcome(name, check, now) for name, check in CHECKS.items()}
    ready = all(word == "ok" for word in checks.values())
    return JsonResponse({"status": "ok" if ready else "failing", "checks": checks}, status=200 if ready else 503)


def outcome(name: str, check: Callable[[datetime], str], now: datetime) -> str:
    """What `check` says; `failing` for whatever it raises, which goes to the log and nowhere else."""
    try:
        return check(now)
    except Exception:
        log.exception("readiness: %s does not answer", name)
        return "failing"


def database(now: datetime) -> str:
    """One statement, on the connection that requests use."""
    Prediction.objects.values("pk").first()
    return "ok"


def queue(now: datetime) -> str:
    """Whether somebody works: no row has been due for longer than `LATEST`."""
    due = (waiting(rows).aggregate(oldest=Min("due_at"))["oldest"] for rows in QUEUES)
    oldest = min((at for at in due if at is not None), default=now)
    return "ok" if now - oldest <= LATEST else "late"


def waiting(model: type[Leased]) -> QuerySet[Leased]:
    """Rows that a worker should have taken by itself."""
    return model._default_manager.filter(due_at__isnull=False, quarantined_at=None)


def storage(now: datetime) -> str:
    """The store answers; raises StorageError."""
    gallery.storage.check()
    return "ok"


QUEUES: Final[tuple[type[Leased], ...]] = (Prediction, Output, WebhookDelivery, Asset)
CHECKS: Final = {"database": database, "queue": queue, "storage": storage}
