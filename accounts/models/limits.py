"""What is added to a limit for a while, and what is used of limits."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.users import User
from accounts.money import dollars


class LimitIncrease(models.Model):
    """What an administrator adds to one limit of a user's for a while: `amount` is a count or micro-dollars."""

    class Unit(models.TextChoices):
        COUNT = "count", "generations"
        USD = "usd", "USD"

    class Period(models.TextChoices):
        DAY = "day", "a day"
        MONTH = "month", "a month"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="limit_increases")
    unit = models.CharField(max_length=5, choices=Unit.choices)
    period = models.CharField(max_length=5, choices=Period.choices)
    amount = models.BigIntegerField()
    expires_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(editable=False)
    granted_by = models.ForeignKey(User, null=True, editable=False, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering: ClassVar = ["-expires_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="limit_increase_increases"),
        ]

    def __str__(self) -> str:
        more = dollars(self.amount) if self.unit == self.Unit.USD else f"{self.amount:,} generations"
        return f"{more} more a {self.period} until {timezone.localtime(self.expires_at):%Y-%m-%d %H:%M}: {self.reason}"


class QuotaPeriod(models.Model):
    """What one scope has reserved and settled in one day or month.

    `scope` is `site`, `user:<id>` or `token:<id>`, each with `sandbox/` before it for simulated spend.
    A cache of the ledger: changed by guarded UPDATE only, recomputed by `reconcile`.
    """

    class Period(models.TextChoices):
        DAY = "day"
        MONTH = "month"

    scope = models.CharField(max_length=64)
    period = models.CharField(max_length=5, choices=Period.choices)
    starts_on = models.DateField()
    reserved_count = models.BigIntegerField(default=0)
    reserved_micros = models.BigIntegerField(default=0)
    settled_count = models.BigIntegerField(default=0)
    settled_micros = models.BigIntegerField(default=0)
    # How often it was set right: what two recounts have found at once is mended by one of them.
    repairs = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "period", "starts_on"], name="quota_period_once"),
            models.CheckConstraint(
                condition=Q(reserved_count__gte=0) & Q(reserved_micros__gte=0),
                name="quota_period_reserved_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.period} {self.starts_on}"


class StorageUse(models.Model):
    """What a user's files take of the store (`accounts.storage_room`); `reconcile` counts it anew."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="storage_use")
    used_bytes = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.used_bytes} bytes of user {self.user_id}"
