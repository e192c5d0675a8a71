"""What the queue in front of the provider goes by: caps, turns, and kill switches."""

from typing import ClassVar

from django.conf import settings
from django.db import models


class ModelCap(models.Model):
    """How many runs of one model may be in flight at the provider at a time."""

    model = models.CharField(primary_key=True, max_length=128)
    max_in_flight = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.model}: {self.max_in_flight} in flight"


class QueueTurn(models.Model):
    """When a creator was last given a slot: what waits of theirs ages from then on, however old it is."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="queue_turn"
    )
    served_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user_id} at {self.served_at:%F %T}"


class Pause(models.Model):
    """A kill switch that is thrown: nothing new is taken or sent for its target until the row is deleted.

    `target` is `everything`, `model:<id>` or `user:<id>`. `reason` is a sentence that the creator reads.
    """

    target = models.CharField(primary_key=True, max_length=140)
    reason = models.CharField(max_length=300)
    paused_at = models.DateTimeField(editable=False)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["target"]

    def __str__(self) -> str:
        return self.target
