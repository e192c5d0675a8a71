"""What a model costs, and when."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q


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
