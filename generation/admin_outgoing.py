"""What is sent to our users' programs: their endpoints, without the secrets, and each message with its tries."""

import json
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin_base import ReadOnly
from accounts.admin_lists import BigList, Choice
from generation import admin_actions
from generation.admin_predictions import accounts_called, linked, raw
from generation.models import OutgoingMessage, WebhookEndpoint

DISABLED = {
    WebhookEndpoint.DisabledFor.OWNER.value: "disabled by its owner",
    WebhookEndpoint.DisabledFor.GONE.value: "disabled: it answered 410 Gone",
    WebhookEndpoint.DisabledFor.FAILING.value: "disabled: it failed for a day",
}
STATES = (("waiting", "waiting"), ("set_aside", "set aside"), ("delivered", "delivered"), ("failed", "given up"))


def shown_url(endpoint: WebhookEndpoint) -> str:
    """Its address without what follows a question mark, where some receivers want a key."""
    address, mark, _ = endpoint.url.partition("?")
    return f"{address}?…" if mark else address


def named(term: str) -> UUID | None:
    """The id that is meant, also as a receiver knows it: `msg_` and 32 digits."""
    try:
        return UUID(term.removeprefix("msg_"))
    except ValueError:
        return None


class EnabledFilter(Choice):
    """Whether anything is sent there."""

    title, parameter_name = "state", "state"
    known = (("enabled", "enabled"), ("trouble", "enabled, and fails"), *DISABLED.items())

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """What is disabled says for what."""
        if value in DISABLED:
            return queryset.filter(disabled_for=value)
        rows = queryset.filter(disabled_at=None)
        return rows.filter(failing_since__isnull=False) if value == "trouble" else rows


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly, admin.ModelAdmin):
    """Where users want to be told; secrets and keys in addresses stay out of sight."""

    list_display = ("address", "user", "state", "failures", "created_at")
    list_filter = (EnabledFilter,)
    list_select_related = ("user",)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = "The id of an endpoint, or an account's name or e-mail, each whole."
    fields = (
        "address",
        "owner",
        "description",
        "told_of",
        "state",
        ("failures", "failing_since", "open_at"),
        ("created_at", "disabled_at", "told_at", "previous_secret_until"),
        "sent",
    )

    class Media:
        css: ClassVar = {"all": ("css/oversight.css",)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By its own id or its owner."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(pk=named(term)) | Q(user__in=accounts_called(term))), False

    @admin.display(description="address")
    def address(self, endpoint: WebhookEndpoint) -> str:
        """Without a key."""
        return shown_url(endpoint)

    @admin.display(description="user")
    def owner(self, endpoint: WebhookEndpoint) -> SafeString:
        """With a link to the account."""
        return linked(reverse("admin:accounts_user_change", args=[endpoint.user_id]), str(endpoint.user))

    @admin.display(description="told of")
    def told_of(self, endpoint: WebhookEndpoint) -> str:
        """The events that its owner chose."""
        return ", ".join(map(str, endpoint.events))

    @admin.display(description="state")
    def state(self, endpoint: WebhookEndpoint) -> str:
        """In words."""
        if endpoint.disabled_at:
            return DISABLED[endpoint.disabled_for]
        return "enabled, and fails" if endpoint.failing_since else "enabled"

    @admin.display(description="messages")
    def sent(self, endpoint: WebhookEndpoint) -> SafeString:
        """A link to them."""
        messages = reverse("admin:generation_outgoingmessage_changelist")
        return linked(f"{messages}?endpoint={endpoint.pk}", "What was sent there")


class MessageFilter(Choice):
    """How far it has come."""

    title, parameter_name, column, deep = "state", "state", "state", True
    known = STATES

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """What is set aside waits too, for an administrator."""
        if value == "set_aside":
            return queryset.filter(due_at__isnull=False, quarantined_at__isnull=False)
        rows = super().narrow(queryset, value)
        return rows.filter(quarantined_at=None) if value == "waiting" else rows


@admin.register(OutgoingMessage)
class OutgoingMessageAdmin(BigList):
    """One message of the last month; what is done about it goes by the action."""

    list_display = ("event", "came", "failures", "user", "to", "made_at")
    list_filter = (MessageFilter,)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    linked_by = ("endpoint",)
    search_fields = ("id",)
    search_help_text = "The id of a message or of a prediction, whole."
    actions = (admin_actions.send_again,)
    fields = (
        "event",
        "webhook_id",
        "receiver",
        "about",
        "came",
        ("created_at", "requested_at", "delivered_at"),
        ("failures", "due_at", "claims", "quarantined_at"),
        "tried",
        "said",
    )

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Rows are not edited; who might, may use the action."""
        return request.user.has_perm("generation.change_outgoingmessage")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With whose it is; a list needs no bodies."""
        return super().get_queryset(request).select_related("endpoint__user").defer("body", "tries")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By its own id or its prediction's."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = named(term)
        return (queryset.filter(Q(pk=wanted) | Q(prediction=wanted)) if wanted else queryset.none()), False

    @admin.display(description="to")
    def to(self, message: OutgoingMessage) -> str:
        """The host alone, for which a list has room."""
        return urlsplit(message.endpoint.url).netloc

    @admin.display(description="created at")
    def made_at(self, message: OutgoingMessage) -> str:
        """As short as it is clear."""
        return f"{timezone.localtime(message.created_at):%Y-%m-%d %H:%M}"

    @admin.display(description="user")
    def user(self, message: OutgoingMessage) -> str:
        """Whose program it is."""
        return str(message.endpoint.user)

    @admin.display(description="state")
    def came(self, message: OutgoingMessage) -> str:
        """In words."""
        aside = message.quarantined_at and message.due_at
        return dict(STATES)["set_aside" if aside else message.state]

    @admin.display(description="to")
    def receiver(self, message: OutgoingMessage) -> SafeString:
        """With a link to the endpoint."""
        address = reverse("admin:generation_webhookendpoint_change", args=[message.endpoint_id])
        return linked(address, shown_url(message.endpoint))

    @admin.display(description="prediction")
    def about(self, message: OutgoingMessage) -> SafeString | str:
        """The one whose end it tells of."""
        key = message.prediction_id
        return linked(reverse("admin:generation_prediction_change", args=[key]), str(key)) if key else "none: a test"

    @admin.display(description="tries")
    def tried(self, message: OutgoingMessage) -> SafeString:
        """The last ones."""
        return raw(message.tries)

    @admin.display(description="what it says")
    def said(self, message: OutgoingMessage) -> SafeString | str:
        """The body, which is written at the first try."""
        return raw(json.loads(message.body)) if message.body else "not written yet"
