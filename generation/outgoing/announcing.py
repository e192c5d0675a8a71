"""A prediction's end becomes a message to each endpoint that wants it, in the transaction in which it ends."""

from datetime import datetime

from generation.models import OutgoingMessage, Prediction, WebhookEndpoint
from generation.models.outgoing import EVENT_OF


def announce(*, prediction: Prediction, name: str, now: datetime) -> None:
    """Queue what the event `name` of `prediction` means outside: one statement for users without endpoints."""
    event = EVENT_OF.get(name)
    if event is None:
        return
    open_ones = WebhookEndpoint.objects.filter(user_id=prediction.user_id, disabled_at=None)
    OutgoingMessage.objects.bulk_create(
        [
            OutgoingMessage(
                endpoint_id=pk,
                prediction_id=prediction.pk,
                event=event,
                created_at=now,
                requested_at=now,
                due_at=now,
            )
            for pk, events in open_ones.values_list("pk", "events")
            if event in events
        ],
        # Each state is reached once; were one told of again, it would be the same message.
        ignore_conflicts=True,
    )
