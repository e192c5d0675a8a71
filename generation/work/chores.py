"""What has to be done now and then, by whichever worker comes first."""

import logging
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db.models import Q
from django.utils import timezone

from accounts import alerts
from gallery import nearby
from gallery.leases import quarantine_poisoned
from gallery.models import Asset
from generation import catalog, lifecycle, providers
from generation.models import Attempt, OutgoingMessage, Output, Prediction, ProviderState, WebhookDelivery
from generation.providers.base import ProviderError, Unauthenticated
from generation.webhooks import inbox
from generation.work import circuit, deletions, notices, outgoing, purging, retention, rounds, spool
from generation.work.submit import expire_waiting

log = logging.getLogger(__name__)

SECRET_EVERY = timedelta(hours=1)
SCRATCH_KEPT_SECONDS = 2 * 3600
OFFERS_EVERY_SECONDS = 3600
LOOK_EVERY = timedelta(minutes=1)
# Half an hour of run at most, and the hour for which the provider keeps what came of it.
GIVEN_UP_FOR = timedelta(hours=2)


def chores() -> None:
    """One round; every part is safe to run in several workers at once."""
    now = timezone.now()
    circuit.probe_token(now=now)
    if not circuit.token_refused():
        read_webhook_secret(now=now)
        ask_for_models_back(now=now)
        look_after_given_up(now=now)
    expire_waiting(now=now)
    inbox.note_right_time(now=now)
    lifecycle.give_up_set_aside(now=now)
    for model in (Prediction, Output, WebhookDelivery, Asset, OutgoingMessage):
        if count := quarantine_poisoned(model, now=now):
            detail = f"{count} rows of {model.__name__} are set aside: work on them keeps dying."
            alerts.note("rows_set_aside", detail, now=now)
    retention.prune(now=now)
    _sweep_scratch()
    spool.sweep()
    nearby.sweep()
    rounds.make_rounds(now=now)
    deletions.take_away(now=timezone.now())
    purging.purge_expired(now=timezone.now())
    notices.tell(now=timezone.now())
    outgoing.keep_house(now=timezone.now())


def read_webhook_secret(*, now: datetime) -> None:
    """Ask the provider for the account's webhook secret hourly; the one before stays good through the next hour."""
    if settings.REPLICATE_WEBHOOK_SECRETS or not settings.WEBHOOK_ORIGIN:
        return
    ProviderState.objects.get_or_create(provider=settings.PROVIDER)
    rows = ProviderState.objects.filter(provider=settings.PROVIDER)
    due = rows.filter(Q(secrets_read_at=None) | Q(secrets_read_at__lt=now - SECRET_EVERY))
    state = due.first()
    if state is None:
        return
    try:
        secret = providers.current().webhook_secret()
    except Unauthenticated as error:
        circuit.note_refusal(error, now=now)
        return
    except ProviderError as error:
        log.warning("the webhook secret could not be read (%s)", type(error).__name__)
        return
    before = [known for known in state.webhook_secrets if known != secret]
    rows.update(webhook_secrets=[secret, *before[:1]], secrets_read_at=now)


def ask_for_models_back(*, now: datetime) -> None:
    """Once an hour: whether the provider offers again what it once answered 404 for."""
    missing = catalog.unavailable_models()
    if not missing or not cache.add("models-asked-for", True, timeout=OFFERS_EVERY_SECONDS):
        return
    for model in missing:
        try:
            if providers.current().offers(model):
                catalog.mark_available(model)
        except ProviderError as error:
            log.warning("whether %s is offered could not be asked (%s)", model, type(error).__name__)


def look_after_given_up(*, now: datetime) -> None:
    """Attempts that were given up for lost and then turned out to run: their end is money, and perhaps a picture."""
    running = Attempt.objects.filter(
        Q(looked_at=None) | Q(looked_at__lt=now - LOOK_EVERY),
        provider=settings.PROVIDER,
        closed_at__gt=now - GIVEN_UP_FOR,
        provider_id__isnull=False,
        completed_at=None,
    )
    for attempt in running[:20]:
        Attempt.objects.filter(pk=attempt.pk).update(looked_at=now)
        try:
            update = providers.current().get(attempt.provider_id or "")
        except ProviderError as error:
            log.warning("attempt %s could not be looked at (%s)", attempt.pk, type(error).__name__)
            continue
        lifecycle.apply_update(attempt=attempt, update=update, now=timezone.now())


def _sweep_scratch() -> None:
    """Remove what killed workers left behind."""
    folder = Path(settings.DATA_DIR) / "tmp"
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > SCRATCH_KEPT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
