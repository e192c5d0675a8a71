"""The prediction that a creator asked for, its attempts at the provider, and what happened to it."""

import secrets
import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from uuid6 import uuid7

from accounts.models import User
from accounts.quotas import Usage
from gallery.leases import Leased
from generation.models.health import ProviderState
from generation.states import UNFINISHED, Status


class PredictionQuerySet(models.QuerySet["Prediction"]):
    """The words in which the product speaks of many predictions."""

    def for_owner(self, user: User) -> "PredictionQuerySet":
        """Those that `user` asked for; another's do not exist."""
        return self.filter(user=user)

    def unfinished(self) -> "PredictionQuerySet":
        """Those that somebody still has to attend to."""
        return self.filter(status__in=UNFINISHED)


class Prediction(Leased):
    """One request of a creator's, from the queue to the gallery. The row is the job.

    `status` moves only through `generation.lifecycle`. `input` holds asset ids in place of files.
    `quote` is the price rules in force when it was asked for: {"rules": [...], "up_to": bool}.
    """

    class Type(models.TextChoices):
        IMAGE = "image"
        VIDEO = "video"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Work in flight holds money, so an account that has made something is closed (`is_active`), not deleted.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="predictions")
    number = models.PositiveIntegerField()
    type = models.CharField(max_length=5, choices=Type.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    provider = models.CharField(max_length=16)
    model = models.CharField(max_length=128)
    prompt = models.TextField()
    input = models.JSONField()
    warnings = models.JSONField(default=list)
    retry_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retries")
    # Of several runs asked for together: the first one, on all but itself.
    first_run = models.ForeignKey(
        "self", null=True, db_index=False, on_delete=models.SET_NULL, related_name="other_runs"
    )

    estimated_micros = models.BigIntegerField()
    quote = models.JSONField(default=dict)
    # None until the money has moved; 0 when it was released.
    cost_micros = models.BigIntegerField(null=True)
    cost_estimated = models.BooleanField(default=False)

    # One sentence's key and the provider's own words, kept apart.
    error_code = models.CharField(max_length=40, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    # Fraction of the run from the provider's logs, 0 to 1.
    progress = models.FloatField(null=True)

    idempotency_key = models.CharField(max_length=200, null=True, default=None)
    request_digest = models.CharField(max_length=64, blank=True, default="")

    created_at = models.DateTimeField()
    # Of the attempt under way: while it is None nothing has left this house. Set with the attempt's own.
    submitted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    keep_waiting_until = models.DateTimeField(null=True)
    last_event_id = models.BigIntegerField(default=0)

    # Not columns: False on what an idempotency key found again; how its owner stands after it was let in; of one whose
    # turn has come the provider's door, as it was seen then.
    was_created = False
    usage: Usage | None = None
    door: ProviderState | None = None

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["user", "-created_at", "-id"], name="prediction_user_newest"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="prediction_due"),
            models.Index(fields=["status", "-created_at"], name="prediction_status_newest"),
            models.Index(fields=["model", "-created_at"], name="prediction_model_newest"),
            models.Index(fields=["-created_at", "-id"], name="prediction_newest"),
            # What went wrong, by what it was; and what was charged, by figures or by our estimate.
            models.Index(
                fields=["error_code", "-created_at"], condition=~Q(error_code=""), name="prediction_error_newest"
            ),
            models.Index(
                fields=["cost_estimated", "-created_at", "cost_micros"],
                condition=Q(cost_micros__gt=0),
                name="prediction_charged_newest",
            ),
            # Those whose key is to be forgotten one day.
            models.Index(fields=["created_at"], condition=Q(idempotency_key__isnull=False), name="prediction_keyed"),
            models.Index(fields=["first_run"], condition=Q(first_run__isnull=False), name="prediction_other_runs"),
            # Those who wait for a slot, in the order in which each user's are looked at.
            models.Index(
                fields=["user", "model", "created_at", "id"],
                condition=Q(status="queued", submitted_at__isnull=True),
                name="prediction_waiting",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "number"], name="prediction_number_once_per_user"),
            models.UniqueConstraint(
                fields=["user", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="prediction_once_per_idempotency_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["succeeded", "lost", "failed", "canceled", "aborted"])
                | Q(due_at__isnull=False),
                name="prediction_unfinished_has_due_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.model} {self.status}"


def new_address_token() -> str:
    """The unguessable part of a webhook address; the signature does not cover the address."""
    return secrets.token_urlsafe(24)


class Attempt(models.Model):
    """One create at the provider. `submitted_at` is committed before the request leaves.

    `submitted_at` without `provider_id` is doubtful: never sent again, resolved by the webhook's address or by
    the provider's list, where it is found by model, exact input and `deadline − created_at`; hence no two
    unbound attempts of one fingerprint share `cancel_after_seconds`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField(default=1)
    provider = models.CharField(max_length=16)
    created_at = models.DateTimeField()
    # SHA-256 of model and exact input as sent; the input itself is kept to be matched against the list.
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    sent_input = models.JSONField(null=True)
    cancel_after_seconds = models.PositiveSmallIntegerField(null=True)
    address_token = models.CharField(max_length=40, default=new_address_token)
    submitted_at = models.DateTimeField(null=True)
    provider_id = models.CharField(max_length=64, null=True, unique=True)
    # When an unbound attempt was given up for lost, or any attempt was over.
    closed_at = models.DateTimeField(null=True)
    # The provider's own word and answer, newest first-hand.
    provider_status = models.CharField(max_length=40, blank=True, default="")
    answer = models.JSONField(null=True)
    metrics = models.JSONField(default=dict)
    logs = models.TextField(blank=True, default="")
    deadline_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["prediction", "number"], name="attempt_number_once"),
            models.UniqueConstraint(
                fields=["provider", "fingerprint", "cancel_after_seconds"],
                condition=Q(submitted_at__isnull=False, provider_id__isnull=True, closed_at__isnull=True),
                name="attempt_unbound_told_apart_by_deadline",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.prediction_id}"

    @property
    def doubtful(self) -> bool:
        """Sent, and no answer has told us under which id."""
        return self.submitted_at is not None and self.provider_id is None and self.closed_at is None


class PredictionEvent(models.Model):
    """One thing that happened to a prediction; the live feed and the timeline read these rows.

    `name` is a status, or `cancel_requested`, `confirming`, `progress`, `output_stored`, `output_lost`, `derived`,
    `requeued`.
    """

    id = models.BigAutoField(primary_key=True)
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="events")
    # The owner again, so that a relay needs no join.
    user_id = models.BigIntegerField()
    name = models.CharField(max_length=20)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["user_id", "id"], name="event_user")]

    def __str__(self) -> str:
        return f"{self.name} of {self.prediction_id}"
