"""What somebody has to be told of, and whether they were."""

from typing import ClassVar

from django.db import models

from accounts.models.limits import LimitIncrease, QuotaPeriod


class BudgetNotice(models.Model):
    """That one share of a limit was reached, told once a period; `threshold` in percent, 0 for the projection.

    `used` and `limit` are counts or micro-dollars as they were then; for the projection `used` is where the month
    would end. Until `…_taken_until` one process is sending it, by mail or by webhook.
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
    mailed_taken_until = models.DateTimeField(null=True, editable=False)
    posted_taken_until = models.DateTimeField(null=True, editable=False)

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
    # Until then one process is sending it.
    told_taken_until = models.DateTimeField(null=True, editable=False)
    posted_taken_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-last_at"]

    def __str__(self) -> str:
        return self.name
