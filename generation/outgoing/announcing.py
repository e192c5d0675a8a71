"""A prediction's end becomes a message to each endpoint that wants it, in the transaction in which it ends."""

from datetime import datetime
from typing import Final

from accounts.prepared import Prepared
from accounts.statements import Sql
from generation.models import OutgoingMessage, Prediction, WebhookEndpoint
from generation.models.outgoing import EVENT_OF

OPEN_ONES = Prepared(
    lambda user: WebhookEndpoint.objects.filter(user_id=user, disabled_at=None).values("pk", "events"), user=int
)

HAS_ENDPOINTS: Final = (
    'EXISTS (SELECT 1 FROM "generation_webhookendpoint" WHERE "user_id" = %s AND "disabled_at" IS NULL)'
)
NOBODY: Final = Sql("FALSE")


def heard(name: str, user_id: int) -> Sql:
    """Whether the user has endpoints for which an event of that name may mean something, asked as it is entered."""
    return Sql(HAS_ENDPOINTS, [user_id]) if name in EVENT_OF else NOBODY


def announce(*, prediction: Prediction, name: str, now: datetime) -> None:
    """Queue what the event `name` of `prediction`, which is `heard`, means outside."""
    event = EVENT_OF[name]
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
