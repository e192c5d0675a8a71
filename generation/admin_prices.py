"""Prices in the admin: dated rows, added and ended, never rewritten."""

import json
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from accounts.admin_base import DollarsField, Recorded
from accounts.money import MICROS
from generation import catalog
from generation.catalog.base import ModelSpec
from generation.drift import find_drift
from generation.models import Price
from generation.price_list import overlapping
from generation.pricing import as_lists

# What may change in a row that has been entered.
LATER = ("effective_to", "source")
NOT_FREE = "A price is more than zero: a model that costs nothing would pass every limit."


class PriceForm(forms.ModelForm):
    """A price in dollars; refuses a range in which the same thing has a price already."""

    model = forms.ChoiceField(choices=[(spec.id, spec.title) for spec in catalog.all_models()])
    amount_micros = DollarsField(
        label="USD per unit", min_value=Decimal("0.000001"), error_messages={"min_value": NOT_FREE}
    )

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
        return as_lists(given)

    def clean(self) -> dict[str, Any]:
        """One price for one thing on one day, and for something that the model has."""
        cleaned: dict[str, Any] = super().clean() or {}
        begins, ends = cleaned.get("effective_from", self.instance.effective_from), cleaned.get("effective_to")
        if begins and ends and ends <= begins:
            self.add_error("effective_to", f"It ends after it begins: choose a day after {begins}.")
        if "conditions" in cleaned and "model" in cleaned:
            for sentence in _strange(catalog.get(cleaned["model"]), cleaned.get("unit", ""), cleaned["conditions"]):
                self.add_error(None, sentence)
        if self.errors:
            return cleaned
        # Two administrators who enter the same price at one moment: the second waits here, and sees the first's.
        list(Price.objects.select_for_update().filter(model=cleaned.get("model", self.instance.model)))
        price = Price(pk=self.instance.pk)
        for name in ("model", "unit", "conditions", "effective_from", "effective_to"):
            setattr(price, name, cleaned.get(name, getattr(self.instance, name)))
        if rivals := overlapping(price):
            raise ValidationError(
                f"A price for this already counts from {rivals[0].effective_from} to "
                f"{rivals[0].effective_to or 'now on'}. End that one first, on the day on which the new one begins."
            )
        return cleaned


def _strange(spec: ModelSpec, unit: str, conditions: dict[str, list[Any]]) -> list[str]:
    """What the model does not have; a condition on such an input would hold always."""
    known = {field.name for field in spec.fields}
    sentences = [f"{spec.title} has no input “{name}”." for name in conditions if name not in known]
    if unit == Price.Unit.SECOND and not spec.seconds:
        sentences.append(f"{spec.title} is not charged by the second: it has no length.")
    if unit in (Price.Unit.IMAGE, Price.Unit.VIDEO) and unit != spec.type:
        sentences.append(f"{spec.title} makes no {unit}s.")
    return sentences


@admin.register(Price)
class PriceAdmin(Recorded):
    """A change of price is a new row from its day on; the old row only gets its end."""

    form = PriceForm

    class Media:
        css: ClassVar = {"all": ("css/oversight.css",)}

    change_list_template = "admin/generation/price/change_list.html"
    list_display = ("model", "unit", "usd", "covers", "in_force", "effective_from", "effective_to", "source")
    list_filter = ("model",)

    def get_urls(self) -> list[Any]:
        """The report of drift beside the rows."""
        drift = path("drift/", self.admin_site.admin_view(self.drift_view), name="generation_price_drift")
        return [drift, *super().get_urls()]

    def drift_view(self, request: HttpRequest) -> HttpResponse:
        """Where the provider's figures imply another price than ours; to read, for whoever may see prices."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        context = {
            **self.admin_site.each_context(request),
            "title": "Price drift",
            "opts": self.opts,
            "report": find_drift(now=timezone.now()),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/generation/price/drift.html", context)

    @admin.display(description="in force today", boolean=True)
    def in_force(self, price: Price) -> bool:
        """Whether today lies in its range."""
        today = timezone.localdate()
        return price.effective_from <= today and (price.effective_to is None or today < price.effective_to)

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
