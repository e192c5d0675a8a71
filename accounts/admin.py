"""The administrator's view of money and doors: ledger, tokens, invitations, alerts, and what was changed by whom."""

from typing import Any, ClassVar
from uuid import UUID

from allauth.account.admin import EmailAddressAdmin
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.admin import Authenticator
from allauth.usersessions.admin import UserSession
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from accounts import (
    admin_notices,  # noqa: F401  (registers notices)
    admin_users,  # noqa: F401  (registers users)
    invitations,
    tokens,
    two_factor,
)
from accounts.admin_base import Checked, ReadOnly, Recorded
from accounts.admin_limits import LIMITS, Limited, warn_below_spent
from accounts.admin_lists import BigList, CappedPaginator, Choice
from accounts.limits import COLUMN_FOR, COLUMN_OF, SANDBOX, column, scope_of
from accounts.models import Alert, ApiToken, Invitation, LedgerEntry, QuotaPeriod, User
from accounts.money import dollars, rounded

# The admin's own form has no rate limit; the site's has.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # the very purpose
two_factor.guard(admin.site)
# The pages of allauth's own show keys of second factors, and let sessions be edited.
admin.site.unregister([Authenticator, UserSession, EmailAddress, Group])
PROVIDERS = (("replicate", "Replicate"), (SANDBOX, "Sandbox (simulated)"))


@admin.register(EmailAddress)
class AddressAdmin(Checked, EmailAddressAdmin):
    """Which addresses are confirmed."""


@admin.register(Group)
class RolesAdmin(Checked, GroupAdmin):
    """Permissions that several administrators have in common."""


@admin.register(QuotaPeriod)
class QuotaPeriodAdmin(ReadOnly, admin.ModelAdmin):
    """What each scope has reserved and settled."""

    list_display = ("scope", "period", "starts_on", "reserved_count", "reserved", "settled_count", "settled")
    list_filter = ("period",)
    search_fields = ("=scope",)
    search_help_text = "A whole scope: site, user:7, token:<id>, with sandbox/ before it for what was simulated."
    date_hierarchy = "starts_on"
    ordering = ("-starts_on", "scope")
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    @admin.display(ordering="reserved_micros")
    def reserved(self, row: QuotaPeriod) -> str:
        """In dollars."""
        return dollars(row.reserved_micros)

    @admin.display(ordering="settled_micros")
    def settled(self, row: QuotaPeriod) -> str:
        """In dollars."""
        return dollars(row.settled_micros)


class KindFilter(Choice):
    """Reservations, or what became of them."""

    title, parameter_name, column = "kind", "kind", "kind"
    known = LedgerEntry.Kind.choices


class LedgerProviderFilter(Choice):
    """Real money or simulated."""

    title, parameter_name, column, deep = "provider", "provider", "provider", True
    known = PROVIDERS


class EstimatedFilter(Choice):
    """Settled by the provider's figures, or by our estimate for want of them."""

    title, parameter_name, deep_in_dates = "settled by", "estimated", True
    known = (("no", "The provider's figures"), ("yes", "Our estimate"))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Of what was settled. SQLite finds a flag by index only where it is compared with something."""
        return queryset.filter(kind=LedgerEntry.Kind.SETTLE, estimated__in=[value == "yes"])


@admin.register(LedgerEntry)
class LedgerEntryAdmin(BigList):
    """Every movement of money; none of them can be changed by anybody."""

    list_display = ("created_at", "kind", "user_scope", "model", "amount", "by_estimate", "end", "reason", "reference")
    list_filter = (KindFilter, LedgerProviderFilter, EstimatedFilter)
    date_hierarchy = "created_at"
    newest_by = "id"
    sums = True
    linked_by = ("user_scope", "reference", "user")
    search_fields = ("reference",)
    search_help_text = "An account's name, a scope such as user:7, or the id of an attempt, each whole."
    fields = (
        ("kind", "created_at"),
        ("user", "user_scope"),
        ("provider", "model"),
        ("count", "amount", "by_estimate"),
        ("end", "reason"),
        ("reference", "booked_on", "periods"),
    )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Entries come in the order of their ids; within a month the index of its days finds them."""
        return ("-created_at", "-id") if f"{self.date_hierarchy}__year" in request.GET else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Exact words, each found by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(reference=UUID(term)), False
        except ValueError:
            ids = User.objects.filter(username=term).values_list("pk", flat=True)
        scopes = [term, *(scope_of("user", user_id, provider=name) for user_id in ids for name, _ in PROVIDERS)]
        used = [scope for scope in scopes if LedgerEntry.objects.filter(user_scope=scope).exists()]
        return queryset.filter(user_scope__in=used), False

    def totals(self, rows: QuerySet[Any]) -> list[str]:
        """By kind, simulated money by itself."""
        sums = rows.order_by().values("provider", "kind").annotate(number=Count("pk"), micros=Sum("amount_micros"))
        return [
            f"{row['kind']}{' (simulated)' if row['provider'] == SANDBOX else ''}: "
            f"{row['number']:,} for {rounded(row['micros'])}"
            for row in sums.order_by("provider", "kind")
        ]

    @admin.display(description="amount")
    def amount(self, entry: LedgerEntry) -> str:
        """In dollars."""
        return dollars(entry.amount_micros, places=3)

    @admin.display(description="estimated", boolean=True)
    def by_estimate(self, entry: LedgerEntry) -> bool:
        """Whether the provider gave no figures."""
        return entry.estimated


@admin.register(ApiToken)
class ApiTokenAdmin(Limited):
    """Whose tokens there are and what they may spend; what they are is known to nobody."""

    list_display = ("name", "user", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at", *LIMITS)
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "prefix")
    fields = ("name", "user", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at", *LIMITS)
    readonly_fields = ("name", "user", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Made by their owners, who alone are shown them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Revoked, not forgotten."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """The limits alone, and said if one is below what is spent already."""
        ApiToken.objects.filter(pk=obj.pk).update(**{name: getattr(obj, name) for name in LIMITS})
        limits = {(period, unit): getattr(obj, column(period, unit)) for period in COLUMN_OF for unit in COLUMN_FOR}
        warn_below_spent(request, obj, limits=limits, changed=form.changed_data, now=timezone.now())

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """They are refused from the next request on."""
        for token in queryset:
            tokens.revoke(token, now=timezone.now())
            self.log_change(request, token, "Revoked.")
        self.message_user(request, "Revoked.", messages.SUCCESS)


@admin.register(Invitation)
class InvitationAdmin(Recorded):
    """Who was invited. The link is shown once, when the invitation is made."""

    list_display = ("email", "created_at", "expires_at", "accepted_at", "accepted_by")
    list_select_related = ("accepted_by",)
    search_fields = ("email",)
    fields = ("email",)
    readonly_when_made: ClassVar = ("email", "created_at", "expires_at", "accepted_at", "accepted_by")

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        """An address to type in, or what became of it."""
        return self.readonly_when_made if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        """Nothing changes in an invitation that is made."""
        return self.readonly_when_made if obj else ()

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        """Made by the same function as everywhere."""
        made, link = invitations.invite(email=obj.email, now=timezone.now(), request=request)
        obj.pk = made.pk
        self.message_user(request, f"The link, shown once: {link}", messages.SUCCESS)


@admin.register(Alert)
class AlertAdmin(ReadOnly, admin.ModelAdmin):
    """What somebody has to look into; docs/operations.md says what to do about each."""

    list_display = ("name", "detail", "count", "first_at", "last_at", "told_at", "over_at")
    list_filter = (("over_at", admin.EmptyFieldListFilter),)


@admin.register(LogEntry)
class RecordAdmin(BigList):
    """Who has changed what in the admin, when, and from what to what."""

    list_display = ("action_time", "user", "content_type", "object_repr", "what")
    list_display_links = ("action_time",)
    list_select_related = ("user", "content_type")
    ordering = ("-id",)
    newest_by = "id"
    linked_by = ("user", "content_type", "object_id")
    search_fields = ("user",)
    search_help_text = "The name of the account that made the changes, whole."
    fields = ("action_time", "user", "content_type", "object_id", "object_repr", "what")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By who it was."""
        if not search_term.strip():
            return queryset, False
        ids = list(User.objects.filter(username=search_term.strip()).values_list("pk", flat=True))
        return queryset.filter(user__in=ids), False

    @admin.display(description="what")
    def what(self, entry: LogEntry) -> str:
        """The sentence that was written down."""
        return entry.get_change_message()
