"""A prediction's end becomes a message to each endpoint that wants it, in the transaction in which it ends."""

from datetime import datetime

from accounts.prepared import Prepared
from generation.models import OutgoingMessage, Prediction, WebhookEndpoint
from generation.models.outgoing import EVENT_OF

OPEN_ONES = Prepared(
    lambda user: WebhookEndpoint.objects.filter(user_id=user, disabled_at=None).values("pk", "events"), user=int
)


def announce(*, prediction: Prediction, name: str, now: datetime) -> None:
    """Queue what the event `name` of `prediction` means outside: one statement for users without endpoints."""
    event = EVENT_OF.get(name)
    if event is None:
        return
    OutgoingMessage.objects.bulk_create(
        [
            OutgoingMessage(
                endpoint_id=endpoint["pk"],
                prediction_id=prediction.pk,
                event=event,
                created_at=now,
                requested_at=now,
                due_at=now,
            )
            for endpoint in OPEN_ONES(user=prediction.user_id)
            if event in endpoint["events"]
        ],
        # Each state is reached once; were one told of again, it would be the same message.
        ignore_conflicts=True,
    )
