"""What programs of our users' are told of: where to, and each message with the tries to deliver it."""

import uuid
from collections.abc import Mapping
from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy
from uuid6 import uuid7

from gallery.leases import Leased
from generation.states import Status

# How a prediction ended, and the event that tells of it.
EVENT_OF: Final[Mapping[str, str]] = {
    Status.SUCCEEDED: "prediction.succeeded",
    Status.FAILED: "prediction.failed",
    Status.CANCELED: "prediction.canceled",
    Status.ABORTED: "prediction.canceled",
    Status.LOST: "prediction.lost",
}
EVENTS: Final = tuple(dict.fromkeys(EVENT_OF.values()))
TEST_EVENT: Final = "webhook.test"


def every_event() -> list[str]:
    """What an endpoint hears of unless its owner chose."""
    return list(EVENTS)


class WebhookEndpoint(models.Model):
    """An address of a user's that is told how predictions end.

    Until `previous_secret_until` messages are signed by the secret before too. `failures` counts those in a row since
    the last success, `failing_since` is when they began, and nothing is sent before `open_at`. `told_at` is when the
    owner was mailed that it was disabled.
    """

    class DisabledFor(models.TextChoices):
        OWNER = "owner", gettext_lazy("disabled by its owner")
        GONE = "gone", gettext_lazy("it answered 410 Gone")
        FAILING = "failing", gettext_lazy("it failed for a day")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField(max_length=2000)
    description = models.CharField(max_length=80, blank=True, default="")
    events = models.JSONField(default=every_event)
    secret = models.CharField(max_length=80)
    previous_secret = models.CharField(max_length=80, blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True)
    disabled_for = models.CharField(max_length=7, choices=DisabledFor.choices, blank=True, default="")
    told_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    open_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-created_at", "-id"], name="endpoint_user_newest")]

    def __str__(self) -> str:
        return f"{self.id} of user {self.user_id}"


class OutgoingMessage(Leased):
    """One message to one endpoint; the same `id` and `body` however often it is sent.

    `body` is written at the first try. `requested_at` is when it was first due, or sent again by its owner: it is tried
    for a day from then. `tries` are {at, status, error, milliseconds}, the last ones; `failures` counts since
    `requested_at`.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Without a constraint in the database: an endpoint that is deleted never makes the end of a prediction fail.
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="messages", db_constraint=False
    )
    prediction = models.ForeignKey("generation.Prediction", null=True, on_delete=models.CASCADE, related_name="+")
    event = models.CharField(max_length=40)
    body = models.TextField(blank=True, default="")
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField(db_index=True)
    requested_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    failures = models.PositiveSmallIntegerField(default=0)
    tries = models.JSONField(default=list)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "due_at"], condition=Q(due_at__isnull=False), name="outgoing_due"),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="outgoing_newest"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint", "prediction", "event"], name="outgoing_once"),
            models.CheckConstraint(
                condition=~Q(state="waiting") | Q(due_at__isnull=False), name="outgoing_waiting_has_due_at"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    @property
    def webhook_id(self) -> str:
        """The header by which a receiver knows it again."""
        return f"msg_{self.id.hex}"
