"""Who may spend: users, their invitations, tokens and limits, the ledger, and what is counted from it."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.money import dollars


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
    # A creator's own, lower than what an administrator allows; None leaves it at that.
    own_daily_count_limit = models.PositiveIntegerField("own limit of generations a day", null=True, blank=True)
    own_monthly_count_limit = models.PositiveIntegerField("own limit of generations a month", null=True, blank=True)
    own_daily_micros_limit = models.BigIntegerField("own limit of spend a day", null=True, blank=True)
    own_monthly_micros_limit = models.BigIntegerField("own limit of spend a month", null=True, blank=True)
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
            models.CheckConstraint(
                condition=(Q(daily_micros_limit=None) | Q(daily_micros_limit__gte=0))
                & (Q(monthly_micros_limit=None) | Q(monthly_micros_limit__gte=0))
                & (Q(own_daily_micros_limit=None) | Q(own_daily_micros_limit__gte=0))
                & (Q(own_monthly_micros_limit=None) | Q(own_monthly_micros_limit__gte=0)),
                name="user_limits_not_negative",
            ),
        )


class ApiToken(models.Model):
    """A bearer token: shown once, kept as the SHA-256 of 256 random bits with a prefix for look-up.

    Its limits bind what it spends beside those of its user; None does not bind.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    daily_count_limit = models.PositiveIntegerField("generations a day", null=True, blank=True)
    monthly_count_limit = models.PositiveIntegerField("generations a month", null=True, blank=True)
    daily_micros_limit = models.BigIntegerField("spend a day", null=True, blank=True)
    monthly_micros_limit = models.BigIntegerField("spend a month", null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(Q(daily_micros_limit=None) | Q(daily_micros_limit__gte=0))
                & (Q(monthly_micros_limit=None) | Q(monthly_micros_limit__gte=0)),
                name="token_limits_not_negative",
            )
        ]

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
    `booked_on` is the day of the reservation in `TIME_ZONE`, the same on all that follows it. `end` is how what was
    paid for ended (a state of a prediction); on a correction, how it is seen to have ended since.
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
    end = models.CharField(max_length=10, blank=True, default="")
    periods = models.JSONField()
    booked_on = models.DateField(db_index=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name_plural = "ledger entries"
        indexes: ClassVar = [
            models.Index(fields=["user_scope", "-id"], name="ledger_scope_newest"),
            models.Index(fields=["kind", "-id"], name="ledger_kind_newest"),
        ]
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


class DailySpend(models.Model):
    """What one user's runs of one model that ended alike came to on one day, by the day of their reservations.

    A cache of the ledger, changed in its transactions and recomputed by `reconcile`. `ended` counts all that ended,
    `count` those of them that were charged; `estimated_micros` is the part of `micros` that the provider gave no
    figures for. `user_scope` as in the ledger, so simulated spend has rows of its own.
    """

    day = models.DateField()
    user_scope = models.CharField(max_length=64)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="daily_spend")
    provider = models.CharField(max_length=16)
    model = models.CharField(max_length=128)
    end = models.CharField(max_length=10)
    ended = models.IntegerField(default=0)
    count = models.IntegerField(default=0)
    micros = models.BigIntegerField(default=0)
    estimated_micros = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "spend"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "user_scope", "model", "end"], name="daily_spend_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["user_scope", "day"], name="daily_spend_scope")]

    def __str__(self) -> str:
        return f"{self.day} {self.user_scope} {self.model} {self.end}"


class BudgetNotice(models.Model):
    """That one share of a limit was reached, told once a period; `threshold` in percent, 0 for the projection.

    `used` and `limit` are counts or micro-dollars as they were then; for the projection `used` is where the month
    would end.
    """

    scope = models.CharField(max_length=64)
    period = models.CharField(max_length=5, choices=QuotaPeriod.Period.choices)
    starts_on = models.DateField()
    unit = models.CharField(max_length=5, choices=LimitIncrease.Unit.choices)
    threshold = models.PositiveSmallIntegerField()
    used = models.BigIntegerField(default=0)
    limit = models.BigIntegerField(default=0)
    detail = models.CharField(max_length=300)
    created_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["scope", "period", "starts_on", "unit", "threshold"], name="budget_notice_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.period} {self.starts_on} {self.threshold} %"


class Alert(models.Model):
    """A trouble that an administrator must know of, one row a name: how often, since when, and whether it was told.

    `told_at` is by mail, `posted_at` by webhook. `over_at` is set when it is seen to be over; the next time makes it
    new again.
    """

    name = models.CharField(primary_key=True, max_length=40)
    detail = models.CharField(max_length=500)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True)
    posted_at = models.DateTimeField(null=True)
    over_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-last_at"]

    def __str__(self) -> str:
        return self.name
