"""The administrator's view of predictions: states, attempts, events and deliveries, to read."""

from typing import Any, ClassVar

from django.contrib import admin

from accounts.admin_base import ReadOnly
from generation import admin_prices  # noqa: F401  (registers the prices)
from generation.models import (
    Attempt,
    ModelAvailability,
    Output,
    Prediction,
    PredictionEvent,
    ProviderState,
    StorageState,
    WebhookDelivery,
)


class AttemptInline(ReadOnly, admin.TabularInline):
    """Each create, with the provider's raw answer; the address token stays out of sight."""

    model = Attempt
    fields = ("number", "provider", "provider_id", "provider_status", "submitted_at", "completed_at", "error", "answer")
    extra = 0


class OutputInline(ReadOnly, admin.TabularInline):
    """Each file, until it was stored or lost."""

    model = Output
    fields = ("index", "state", "asset", "tries", "error_code", "expires_at")
    extra = 0


class EventInline(ReadOnly, admin.TabularInline):
    """The timeline."""

    model = PredictionEvent
    fields = ("created_at", "name", "data")
    extra = 0


@admin.register(Prediction)
class PredictionAdmin(ReadOnly, admin.ModelAdmin):
    """One prediction with everything that happened to it."""

    list_display = ("number", "user", "type", "model", "status", "cost_micros", "error_code", "created_at")
    list_filter = ("status", "type", "provider", "model", "error_code")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    search_fields = ("id", "attempts__provider_id", "user__username")
    inlines: ClassVar[list[Any]] = [AttemptInline, OutputInline, EventInline]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, admin.ModelAdmin):
    """What the provider has told us, and what became of it."""

    list_display = ("webhook_id", "received_at", "outcome", "address_prediction")
    list_filter = ("outcome",)
    exclude = ("body", "address_token", "lease_token")


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
class ModelAvailabilityAdmin(admin.ModelAdmin):
    """Models that the provider answered 404 for; deleting a row offers the model again."""

    list_display = ("model", "unavailable_since")
