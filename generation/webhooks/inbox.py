"""What the provider has told us, kept in the transaction in which it is applied, or for the work loop."""

import json
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils import timezone

from accounts import alerts
from accounts.models import Alert
from accounts.statements import Sql, insert_new, update
from gallery.faultpoints import faultpoint
from gallery.leases import hand_back
from generation import lifecycle
from generation.models import Attempt, WebhookDelivery
from generation.providers.answers import read_prediction
from generation.providers.base import ProviderPrediction

log = logging.getLogger(__name__)

# When the work loop tries what could not be applied at once.
GRACE = timedelta(seconds=10)
SKEWED = "webhook_rejected_skew"
# The attempt that an address names; the token tells a prediction's attempts apart.
ADDRESSED = (
    '"generation_attempt"."prediction_id" = %s AND "generation_attempt"."submitted_at" IS NOT NULL'
    ' AND "generation_attempt"."address_token" = %s'
)
# Noise is to cost one statement, and its commit.
KNOWN = f'EXISTS (SELECT 1 FROM "generation_attempt" WHERE {ADDRESSED})'  # noqa: S608 (a constant)  # nosec B608
DUE_IF_KNOWN = f"CASE WHEN {KNOWN} THEN %s END"
UNKNOWN_UNLESS_KNOWN = f"CASE WHEN {KNOWN} THEN %s ELSE '{WebhookDelivery.Outcome.UNKNOWN}' END"
PREDICTION: Any = Attempt._meta.get_field("prediction")
DUE_AT: Any = WebhookDelivery._meta.get_field("due_at")


def receive(*, webhook_id: str, body: bytes, prediction: str, token: str, now: datetime) -> None:
    """Keep a signed delivery and apply it; a repeat changes nothing. Raises only when it could not be kept."""
    given = {
        "webhook_id": webhook_id[:200],
        "received_at": now,
        "body": body,
        # PostgreSQL keeps no NUL; an address that has one is nobody's all the same.
        "address_prediction": prediction[:64].replace("\0", ""),
        "address_token": token[:64].replace("\0", ""),
    }
    try:
        with transaction.atomic():
            _keep_and_apply(WebhookDelivery(**given), now)
    except Exception:
        log.exception("a delivery is kept for the work loop")
        _keep(WebhookDelivery(**given), due_at=now + GRACE, outcome="")


def _keep_and_apply(delivery: WebhookDelivery, now: datetime) -> None:
    """Both or neither, in the caller's transaction."""
    if not _keep(delivery, due_at=None, outcome=WebhookDelivery.Outcome.APPLIED):
        return
    faultpoint("webhook.kept")
    outcome = apply(delivery, now=now)
    if outcome != delivery.outcome:
        update(WebhookDelivery, {"pk": delivery.pk}, outcome=outcome)
    faultpoint("webhook.applied")


def _keep(delivery: WebhookDelivery, *, due_at: datetime | None, outcome: str) -> bool:
    """As due and with the outcome that are named, unless it is nobody's: of that there is nothing to apply.

    False for what is over with the keeping, a repeat included.
    """
    if (prediction_id := _named(delivery)) is None:
        delivery.outcome = WebhookDelivery.Outcome.UNKNOWN
        insert_new(delivery)
        return False
    address = _address(delivery, prediction_id)
    computed = {"outcome": Sql(UNKNOWN_UNLESS_KNOWN, [*address, outcome])}
    if due_at:
        due = DUE_AT.get_db_prep_save(due_at, connections[DEFAULT_DB_ALIAS])
        computed["due_at"] = Sql(DUE_IF_KNOWN, [*address, due])
    return insert_new(delivery, computed=computed) and delivery.outcome != WebhookDelivery.Outcome.UNKNOWN


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
    said = _read(delivery)
    with transaction.atomic(savepoint=False):
        attempt = _addressed(delivery) if said else None
        if attempt is None or said is None:
            return WebhookDelivery.Outcome.UNKNOWN
        if lifecycle.is_anothers(attempt=attempt, provider_id=said.id):
            sentence = f"Delivery {delivery.pk} came to attempt {attempt.pk} and names another prediction than it has."
            alerts.note("webhook_mismatch", sentence, now=now)
            return WebhookDelivery.Outcome.MISMATCH
        lifecycle.apply_locked(attempt=attempt, update=said, now=now)
    return WebhookDelivery.Outcome.APPLIED


def _read(delivery: WebhookDelivery) -> ProviderPrediction | None:
    """What it says; None where that cannot be read, or names nothing."""
    try:
        update = read_prediction(json.loads(bytes(delivery.body)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return update if update.id else None


def _addressed(delivery: WebhookDelivery) -> Attempt | None:
    """The attempt whose address this came to, locked with its prediction."""
    if (prediction_id := _named(delivery)) is None:
        return None
    return lifecycle.locked(Sql(ADDRESSED, _address(delivery, prediction_id)))


def _address(delivery: WebhookDelivery, prediction_id: UUID) -> list[Any]:
    return [PREDICTION.get_db_prep_save(prediction_id, connections[DEFAULT_DB_ALIAS]), delivery.address_token]


def _named(delivery: WebhookDelivery) -> UUID | None:
    try:
        return UUID(delivery.address_prediction)
    except ValueError:
        return None
