"""What the installation knows of what it depends on: the provider, its models, the store."""

from django.db import models


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
    `slow_until` creates keep to the rate of an account that is low on credit. `turn_*` is the lease of a chooser of
    the release before, of whom one at a time chose. Reasons to be closed: `rate_limited`, `unauthenticated`,
    `no_credit`, `unavailable`.
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
