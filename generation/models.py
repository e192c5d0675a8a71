"""How it is made: the prediction asked for, its attempts at the provider, their outputs, and what was heard."""

import secrets
import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from uuid6 import uuid7

from accounts.models import User
from gallery.leases import Leased
from gallery.models import Asset
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

    # False on what an idempotency key found again; not a column.
    was_created = False

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["user", "-created_at", "-id"], name="prediction_user_newest"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="prediction_due"),
            models.Index(fields=["status", "-created_at"], name="prediction_status_newest"),
            models.Index(fields=["model", "-created_at"], name="prediction_model_newest"),
            models.Index(fields=["-created_at", "-id"], name="prediction_newest"),
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


class Circuit(models.Model):
    """Whether something we depend on takes work: closed until then, and why; `faults` counts failures in a row."""

    closed_until = models.DateTimeField(null=True)
    closed_reason = models.CharField(max_length=20, blank=True, default="")
    faults = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class ProviderState(Circuit):
    """What the installation knows of one provider, shared by all its processes.

    `slot_at` meters creates and `read_slot_at` all other calls: the time at which the next may leave. Until
    `slow_until` creates keep to the rate of an account that is low on credit. `turn_*` is the chooser's lease.
    Reasons to be closed: `rate_limited`, `unauthenticated`, `no_credit`, `unavailable`.
    """

    provider = models.CharField(primary_key=True, max_length=16)
    turn_token = models.UUIDField(null=True)
    turn_until = models.DateTimeField(null=True)
    slot_at = models.DateTimeField(null=True)
    read_slot_at = models.DateTimeField(null=True)
    slow_until = models.DateTimeField(null=True)
    webhook_secrets = models.JSONField(default=list)
    secrets_read_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.provider


class StorageState(Circuit):
    """What the installation knows of its store. Reasons to be closed: `unavailable`, `refused`.

    `audited_to` is the asset up to which the audit has come, `swept_at` when objects without a row were last
    looked for, `limits_seen_at` when the limits were last held against what is used of them.
    """

    store = models.CharField(primary_key=True, max_length=16, default="assets")
    audited_to = models.UUIDField(null=True)
    audited_at = models.DateTimeField(null=True)
    swept_at = models.DateTimeField(null=True)
    limits_seen_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.store


class ModelAvailability(models.Model):
    """A model that the provider answered 404 for."""

    model = models.CharField(primary_key=True, max_length=128)
    unavailable_since = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "model availability"

    def __str__(self) -> str:
        return self.model


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


class Price(models.Model):
    """What one unit of a model costs over a range of days. `conditions` maps an input to the values it covers.

    Rows are dated, not edited: a change is a new row from its day on.
    """

    class Unit(models.TextChoices):
        IMAGE = "image"
        SECOND = "second"
        VIDEO = "video"

    model = models.CharField(max_length=128, db_index=True)
    unit = models.CharField(max_length=8, choices=Unit.choices)
    conditions = models.JSONField(default=dict, blank=True)
    amount_micros = models.BigIntegerField()
    effective_from = models.DateField()
    effective_to = models.DateField(null=True, blank=True)
    source = models.CharField(max_length=200)

    class Meta:
        ordering: ClassVar = ["model", "-effective_from", "amount_micros"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount_micros__gte=0), name="price_not_negative"),
            models.CheckConstraint(
                condition=Q(effective_to=None) | Q(effective_to__gt=F("effective_from")),
                name="price_range_runs_forward",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.amount_micros} µ$ per {self.unit} from {self.effective_from}"
