"""Several generations that were asked for in one call."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from uuid6 import uuid7

from generation.models.predictions import Prediction


class Batch(models.Model):
    """One call and what it asked for. Its idempotency key stands on the first of its predictions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="batches")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]

    def __str__(self) -> str:
        return str(self.pk)


class BatchItem(models.Model):
    """A prediction's place in its batch, from 0."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items")
    prediction = models.OneToOneField(Prediction, on_delete=models.CASCADE, related_name="batch_item")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "position"], name="batch_position_once"),
        ]

    def __str__(self) -> str:
        return f"{self.position} of {self.batch_id}"
