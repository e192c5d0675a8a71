"""The administrator's view of the inbox and of what the product knows of provider, store and models."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from accounts.admin_base import ReadOnly, Recorded
from accounts.admin_lists import BigList, Choice
from generation import (
    admin_actions,
    admin_outgoing,  # noqa: F401  (registers what is sent to users' programs)
    admin_prices,  # noqa: F401  (registers the prices)
    admin_spend,  # noqa: F401  (registers the page of that name)
    admin_switches,  # noqa: F401  (registers pauses and caps)
)
from generation.admin_predictions import linked, raw
from generation.admin_timeline import HIDDEN
from generation.models import ModelAvailability, ProviderState, StorageState, WebhookDelivery

LARGEST_SHOWN = 256 * 1024


class OutcomeFilter(Choice):
    """What became of a delivery."""

    title, parameter_name, column, deep = "outcome", "outcome", "outcome", True
    known = (("pending", "not applied yet"), *(pair for pair in WebhookDelivery.Outcome.choices if pair[0]))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """What is not applied has no outcome."""
        return queryset.filter(outcome="" if value == "pending" else value)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(BigList):
    """What the provider has told us, and what became of it; the address's token stays out of sight."""

    list_display = ("webhook_id", "received_at", "became", "address_prediction")
    list_filter = (OutcomeFilter,)
    date_hierarchy = "received_at"
    newest_by = "received_at"
    ordering = ("-received_at", "-id")
    search_fields = ("webhook_id",)
    search_help_text = "The id of a delivery, whole."
    actions = (admin_actions.apply_delivery,)
    fields = ("webhook_id", "received_at", "became", "prediction", ("due_at", "claims", "quarantined_at"), "said")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Rows are not edited; who might, may use the action."""
        return request.user.has_perm("generation.change_webhookdelivery")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By its own id."""
        term = search_term.strip()
        return (queryset.filter(webhook_id=term) if term else queryset), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """A list needs no bodies."""
        return super().get_queryset(request).defer("body")

    @admin.display(description="outcome")
    def became(self, delivery: WebhookDelivery) -> str:
        """In words."""
        if delivery.outcome:
            return str(delivery.get_outcome_display()).lower()
        return "set aside" if delivery.quarantined_at else "not applied yet"

    @admin.display(description="prediction")
    def prediction(self, delivery: WebhookDelivery) -> SafeString | str:
        """The one that its address names."""
        name = delivery.address_prediction
        return linked(reverse("admin:generation_prediction_change", args=[name]), name) if name else "none named"

    @admin.display(description="what it said")
    def said(self, delivery: WebhookDelivery) -> SafeString | str:
        """The body as JSON, or that it is none."""
        body = bytes(delivery.body)
        if len(body) > LARGEST_SHOWN:
            return f"{len(body):,} bytes, too many to be shown."
        text = body.decode(errors="replace")
        if delivery.address_token:
            text = text.replace(delivery.address_token, HIDDEN)
        try:
            return raw(json.loads(text))
        except (ValueError, RecursionError):
            return raw(text)


@admin.register(ProviderState)
class ProviderStateAdmin(ReadOnly, admin.ModelAdmin):
    """Whether the provider takes work."""

    list_display = ("provider", "closed_until", "closed_reason", "faults", "secrets_read_at")
    exclude = ("webhook_secrets", "turn_token")


@admin.register(StorageState)
class StorageStateAdmin(ReadOnly, admin.ModelAdmin):
    """Whether the store takes files, and how far its audit has come."""

    list_display = ("store", "closed_until", "closed_reason", "faults", "audited_at", "swept_at")


@admin.register(ModelAvailability)
class ModelAvailabilityAdmin(Recorded):
    """Models that the provider answered 404 for; deleting a row offers the model again."""

    list_display = ("model", "unavailable_since")
