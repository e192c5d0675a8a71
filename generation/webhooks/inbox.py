"""What the provider has told us, kept before it is believed, and applied at once or by the work loop."""

import json
import logging
from datetime import datetime, timedelta
from hmac import compare_digest
from uuid import UUID

from django.utils import timezone

from accounts import alerts
from accounts.models import Alert
from gallery.faultpoints import faultpoint
from gallery.leases import hand_back
from generation import lifecycle
from generation.models import Attempt, WebhookDelivery
from generation.providers.answers import read_prediction
from generation.providers.base import ProviderPrediction

log = logging.getLogger(__name__)

# If the process dies between keeping and applying, the work loop takes over after that.
GRACE = timedelta(seconds=10)
SKEWED = "webhook_rejected_skew"


def receive(*, webhook_id: str, body: bytes, prediction: str, token: str, now: datetime) -> None:
    """Keep a signed delivery and apply it; a repeat changes nothing. Raises only when it could not be kept."""
    delivery = WebhookDelivery(
        webhook_id=webhook_id[:200],
        received_at=now,
        body=body,
        # PostgreSQL keeps no NUL; an address that has one is nobody's all the same.
        address_prediction=prediction[:64].replace("\0", ""),
        address_token=token[:64].replace("\0", ""),
    )
    told = _read(delivery)
    if told is None:
        # There is nothing to apply, so it is over with the keeping: anybody's noise costs two statements.
        delivery.outcome = WebhookDelivery.Outcome.UNKNOWN
        WebhookDelivery.objects.bulk_create([delivery], ignore_conflicts=True)
        return
    delivery.due_at = now + GRACE
    WebhookDelivery.objects.bulk_create([delivery], ignore_conflicts=True)
    kept = WebhookDelivery.objects.filter(webhook_id=delivery.webhook_id, received_at=now, due_at__isnull=False).first()
    if kept is None:
        return
    faultpoint("webhook.kept")
    try:
        outcome = _apply(kept, *told, now=now)
    except Exception:
        log.exception("delivery %s is left to the work loop", kept.pk)
        return
    faultpoint("webhook.applied")
    WebhookDelivery.objects.filter(pk=kept.pk).update(due_at=None, outcome=outcome)


def note_out_of_time(*, seconds: float, now: datetime) -> None:
    """A delivery that the provider signed came `seconds` late (negative: early) by our clock, and was refused."""
    when = f"{abs(seconds):.0f} s {'late' if seconds > 0 else 'early'}"
    sentence = (
        f"A delivery that the provider signed was refused: by this machine's clock it came {when}. Either the clock is"
        " wrong, or somebody repeated an old delivery. Polling does the work."
    )
    alerts.note(SKEWED, sentence, now=now)


def note_right_time(*, now: datetime) -> None:
    """One that was accepted since shows that the clock is right."""
    noted = Alert.objects.filter(name=SKEWED, over_at=None).first()
    if noted and WebhookDelivery.objects.filter(received_at__gt=noted.last_at).exists():
        alerts.over(SKEWED, now=now)


def deliver(delivery: WebhookDelivery) -> None:
    """The deliver lane's step for a leased row."""
    outcome = apply(delivery, now=timezone.now())
    hand_back(delivery, due_at=None, outcome=outcome)


def apply(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery.Outcome:
    """Move the prediction that the address names by what the body says."""
    told = _read(delivery)
    return _apply(delivery, *told, now=now) if told else WebhookDelivery.Outcome.UNKNOWN


def _read(delivery: WebhookDelivery) -> tuple[Attempt, ProviderPrediction] | None:
    """Which attempt it is about and what it says; None for what is nobody's or cannot be read."""
    try:
        update = read_prediction(json.loads(bytes(delivery.body)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    attempt = _addressed(delivery)
    return (attempt, update) if attempt and update.id else None


def _apply(
    delivery: WebhookDelivery, attempt: Attempt, update: ProviderPrediction, *, now: datetime
) -> WebhookDelivery.Outcome:
    if not lifecycle.bind(attempt=attempt, provider_id=update.id, now=now):
        sentence = f"Delivery {delivery.pk} came to attempt {attempt.pk} and names another prediction than it has."
        alerts.note("webhook_mismatch", sentence, now=now)
        return WebhookDelivery.Outcome.MISMATCH
    lifecycle.apply_update(attempt=attempt, update=update, now=now)
    return WebhookDelivery.Outcome.APPLIED


def _addressed(delivery: WebhookDelivery) -> Attempt | None:
    """The attempt whose address this came to; the token tells a prediction's attempts apart."""
    try:
        prediction_id = UUID(delivery.address_prediction)
    except ValueError:
        return None
    sent = Attempt.objects.filter(prediction_id=prediction_id, submitted_at__isnull=False)
    token = delivery.address_token.encode()
    return next((attempt for attempt in sent if compare_digest(attempt.address_token.encode(), token)), None)
