"""Every movement of money, and what is counted from it."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models.users import User


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
            # What was settled, by the provider's figures or by our estimate. SQLite looks at the condition again.
            models.Index(fields=["estimated", "-id", "kind"], condition=Q(kind="settle"), name="ledger_settled_newest"),
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


class SpendSums(models.Model):
    """The figures of one user's runs of one model that ended alike, over the days that begin with `day`.

    `ended` counts all that ended, `count` those of them that were charged; `estimated_micros` is the part of `micros`
    that the provider gave no figures for.
    """

    day = models.DateField()
    user_scope = models.CharField(max_length=64)
    provider = models.CharField(max_length=16)
    model = models.CharField(max_length=128)
    end = models.CharField(max_length=10)
    ended = models.IntegerField(default=0)
    count = models.IntegerField(default=0)
    micros = models.BigIntegerField(default=0)
    estimated_micros = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.day} {self.user_scope} {self.model} {self.end}"


class DailySpend(SpendSums):
    """What one user's runs of one model that ended alike came to on one day, by the day of their reservations.

    A cache of the ledger, changed in its transactions and recomputed by `reconcile`. `user_scope` as in the ledger, so
    simulated spend has rows of its own.
    """

    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="daily_spend")

    class Meta:
        verbose_name_plural = "spend"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "user_scope", "model", "end"], name="daily_spend_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["user_scope", "day"], name="daily_spend_scope")]


class MonthlySpend(SpendSums):
    """The daily sums of one month added up, `day` being its first: a year is read from a thirtieth of the rows."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "user_scope", "model", "end"], name="monthly_spend_once"),
        ]
