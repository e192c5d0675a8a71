"""What comes from the provider: files on their way to the gallery, and webhooks as they came."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from gallery.leases import Leased
from gallery.models import Asset
from generation.models.predictions import Attempt, Prediction


class Output(Leased):
    """One file of a succeeded attempt, until it is ours or finally lost."""

    class State(models.TextChoices):
        WAITING = "waiting"
        STORED = "stored"
        LOST = "lost"

    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="outputs")
    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="outputs")
    index = models.PositiveSmallIntegerField()
    url = models.TextField()
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    asset = models.OneToOneField(Asset, null=True, on_delete=models.SET_NULL, related_name="output")
    # How often fetching or storing has failed, and the sentence's key.
    tries = models.PositiveSmallIntegerField(default=0)
    error_code = models.CharField(max_length=40, blank=True, default="")
    # The provider deletes then.
    expires_at = models.DateTimeField()
    # The host in whose spool the fetched file waits for the store.
    spool_host = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["index"]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="output_due"),
            # The store lane's order, and the question whether storing is behind.
            models.Index(fields=["expires_at"], condition=Q(state="waiting"), name="output_waiting_expiry"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["prediction", "index"], name="output_once_per_index"),
            models.CheckConstraint(
                condition=~Q(state="waiting") | Q(due_at__isnull=False), name="output_waiting_has_due_at"
            ),
        ]

    def __str__(self) -> str:
        return f"output {self.index} of {self.prediction_id}"


class WebhookDelivery(Leased):
    """A delivery that carried a valid signature, kept as it came. `due_at` asks the work loop to apply it."""

    class Outcome(models.TextChoices):
        PENDING = ""
        APPLIED = "applied"
        UNKNOWN = "unknown"
        MISMATCH = "mismatch"

    webhook_id = models.CharField(max_length=200, unique=True)
    received_at = models.DateTimeField(db_index=True)
    body = models.BinaryField()
    # As named in the query string of the address we handed out.
    address_prediction = models.CharField(max_length=64, blank=True, default="")
    address_token = models.CharField(max_length=64, blank=True, default="")
    outcome = models.CharField(max_length=8, choices=Outcome.choices, blank=True, default="")

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes: ClassVar = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="delivery_due")]

    def __str__(self) -> str:
        return self.webhook_id
