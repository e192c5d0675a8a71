"""Prices in the admin: dated rows, added and ended, never rewritten."""

import json
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin_base import DollarsField, Recorded
from accounts.money import MICROS
from generation import catalog
from generation.models import Price
from generation.price_list import overlapping

# What may change in a row that has been entered.
LATER = ("effective_to", "source")


class PriceForm(forms.ModelForm):
    """A price in dollars; refuses a range in which the same thing has a price already."""

    model = forms.ChoiceField(choices=[(spec.id, spec.title) for spec in catalog.all_models()])
    amount_micros = DollarsField(label="USD per unit")

    class Meta:
        model = Price
        fields = ("model", "unit", "conditions", "amount_micros", "effective_from", "effective_to", "source")
        help_texts: ClassVar = {
            "conditions": 'Which inputs it covers, such as {"resolution": ["720p"]}; {} covers all.',
            "effective_from": "The first day on which it counts.",
            "effective_to": "The first day on which it counts no longer.",
        }

    def clean_conditions(self) -> dict[str, list[Any]]:
        """An object of lists; single values are taken as a list of one."""
        given = self.cleaned_data["conditions"] or {}
        if not isinstance(given, dict):
            raise ValidationError('An object such as {"resolution": ["720p"]} is accepted.')
        return {str(name): values if isinstance(values, list) else [values] for name, values in given.items()}

    def clean(self) -> dict[str, Any]:
        """One price for one thing on one day."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        price = Price(pk=self.instance.pk)
        for name in ("model", "unit", "conditions", "effective_from", "effective_to"):
            setattr(price, name, cleaned.get(name, getattr(self.instance, name)))
        if rivals := overlapping(price):
            raise ValidationError(
                f"A price for this already counts from {rivals[0].effective_from} to "
                f"{rivals[0].effective_to or 'now on'}. End that one first, on the day on which the new one begins."
            )
        return cleaned


@admin.register(Price)
class PriceAdmin(Recorded):
    """A change of price is a new row from its day on; the old row only gets its end."""

    form = PriceForm
    list_display = ("model", "unit", "usd", "covers", "effective_from", "effective_to", "source")
    list_filter = ("model",)

    @admin.display(description="USD", ordering="amount_micros")
    def usd(self, price: Price) -> str:
        """As an exact decimal."""
        return f"{(Decimal(price.amount_micros) / MICROS).normalize():f}"

    @admin.display(description="covers")
    def covers(self, price: Price) -> str:
        """The conditions on one line."""
        return json.dumps(price.conditions) if price.conditions else "everything"

    def get_readonly_fields(self, request: HttpRequest, obj: Price | None = None) -> tuple[str, ...]:
        """What a price was is part of the books."""
        return ("model", "unit", "conditions", "amount_micros", "usd", "effective_from") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Price | None = None) -> tuple[str, ...]:
        """The amount is typed in for a new price, and read afterwards."""
        return ("model", "unit", "conditions", "usd" if obj else "amount_micros", "effective_from", *LATER)

    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:
        """Only what has not counted on any day yet may go."""
        unused = obj is not None and obj.effective_from > timezone.localdate()
        return unused and super().has_delete_permission(request, obj)
