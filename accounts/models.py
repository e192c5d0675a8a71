"""Who may spend: users, their invitations and API tokens, the periods their limits run over, and the ledger."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


def default_daily_count() -> int:
    """Predictions a day that a new user gets."""
    return int(settings.DAILY_COUNT)


def default_monthly_count() -> int:
    """Predictions a month that a new user gets."""
    return int(settings.MONTHLY_COUNT)


def default_daily_micros() -> int | None:
    """Micro-dollars a day that a new user gets; None: no limit."""
    micros: int | None = settings.DAILY_USD_MICROS
    return micros


def default_monthly_micros() -> int | None:
    """Micro-dollars a month that a new user gets; None: no limit."""
    micros: int | None = settings.MONTHLY_USD_MICROS
    return micros


class User(AbstractUser):
    """A creator or administrator. Limits of None do not bind; both kinds of user are metered."""

    class Theme(models.TextChoices):
        SYSTEM = "", "As the system"
        DARK = "dark", "Darkroom"
        LIGHT = "light", "Light table"

    theme = models.CharField(max_length=5, choices=Theme.choices, blank=True, default="")
    daily_count_limit = models.PositiveIntegerField(
        "generations a day", null=True, blank=True, default=default_daily_count
    )
    monthly_count_limit = models.PositiveIntegerField(
        "generations a month", null=True, blank=True, default=default_monthly_count
    )
    daily_micros_limit = models.BigIntegerField("spend a day", null=True, blank=True, default=default_daily_micros)
    monthly_micros_limit = models.BigIntegerField(
        "spend a month", null=True, blank=True, default=default_monthly_micros
    )
    # The number people say aloud ("462 is the one"): raised with each prediction, never reused.
    last_frame_number = models.PositiveIntegerField(default=0)

    class Meta(AbstractUser.Meta):
        constraints = (
            models.UniqueConstraint(
                Lower("email"),
                condition=~Q(email=""),
                name="one_account_for_each_email",
                violation_error_message="Another account has this e-mail.",
            ),
        )


class ApiToken(models.Model):
    """A bearer token: shown once, kept as the SHA-256 of 256 random bits with a prefix for look-up."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_good(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Invitation(models.Model):
    """One e-mail address that may sign up once, by a link of which only the SHA-256 is kept."""

    email = models.EmailField()
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_by = models.ForeignKey(User, null=True, blank=True, editable=False, on_delete=models.SET_NULL)

    def __str__(self) -> str:
        return self.email

    def is_open(self, now: datetime) -> bool:
        """Neither used nor expired."""
        return self.accepted_at is None and self.expires_at > now


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


class LedgerEntry(models.Model):
    """One movement of money, never changed. `reference` is the attempt it belongs to.

    reserve: count and amount held. settle: the actual amount, which ends the reservation. release: gives it
    back (amount and count are those of the reservation). correct: ± amount after an outcome, with a reason.
    """

    class Kind(models.TextChoices):
        RESERVE = "reserve"
        SETTLE = "settle"
        RELEASE = "release"
        CORRECT = "correct"

    kind = models.CharField(max_length=7, choices=Kind.choices)
    reference = models.UUIDField(db_index=True)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="ledger")
    # Stays readable when the user is gone.
    user_scope = models.CharField(max_length=64)
    provider = models.CharField(max_length=16)
    model = models.CharField(max_length=128)
    count = models.SmallIntegerField()
    amount_micros = models.BigIntegerField()
    estimated = models.BooleanField(default=False)
    reason = models.CharField(max_length=200, blank=True)
    periods = models.JSONField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name_plural = "ledger entries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["reference", "kind"],
                condition=~Q(kind="correct"),
                name="ledger_entry_once_per_attempt_and_kind",
            ),
            # An attempt's reservation has one end: settled or released, never both.
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(kind__in=["settle", "release"]),
                name="ledger_entry_one_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_micros} µ$ of {self.reference}"


class Alert(models.Model):
    """A trouble that an administrator must know of, one row a name: how often, since when, and whether it was told.

    `over_at` is set when it is seen to be over; the next time makes it new again.
    """

    name = models.CharField(primary_key=True, max_length=40)
    detail = models.CharField(max_length=500)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)
    over_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-last_at"]

    def __str__(self) -> str:
        return self.name
