"""The administrator's view of people and money: limits to change, the ledger to read."""

from typing import Any, ClassVar

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import CharField, Field, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest
from django.utils import timezone

from accounts import invitations, tokens
from accounts.admin_base import DollarsField, ReadOnly, Recorded
from accounts.models import Alert, ApiToken, Invitation, LedgerEntry, QuotaPeriod, User
from accounts.money import dollars
from accounts.periods import Window, windows
from accounts.quotas import scope_of

# The admin's own form has no rate limit; the site's has.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


@admin.register(User)
class UserAdmin(Recorded, DjangoUserAdmin):
    """Who may spend how much, with what was spent beside it."""

    list_display = (
        "username",
        "email",
        "spent_today",
        "daily_micros_limit",
        "spent_this_month",
        "monthly_micros_limit",
        "made_today",
        "daily_count_limit",
        "monthly_count_limit",
        "is_active",
        "is_staff",
    )
    list_editable = ("daily_micros_limit", "monthly_micros_limit", "daily_count_limit", "monthly_count_limit")
    readonly_fields = ("spent_today", "spent_this_month", "made_today", "last_login", "date_joined")
    fieldsets = (
        *(DjangoUserAdmin.fieldsets or ()),
        (
            "Limits and spend",
            {
                "fields": (
                    ("daily_micros_limit", "spent_today"),
                    ("monthly_micros_limit", "spent_this_month"),
                    ("daily_count_limit", "made_today"),
                    "monthly_count_limit",
                ),
                "description": "Dollars. Empty: no limit. 0: nothing.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        day, month = windows(timezone.now())
        return User.objects.annotate(
            day_micros=_booked(day, "settled_micros"),
            month_micros=_booked(month, "settled_micros"),
            day_count=_booked(day, "settled_count"),
        )

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in {"daily_micros_limit", "monthly_micros_limit"}:
            period = "day" if db_field.name.startswith("daily") else "month"
            return DollarsField(required=False, label=f"USD a {period}")
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="spent today")
    def spent_today(self, user: Any) -> str:
        return dollars(getattr(user, "day_micros", None) or 0)

    @admin.display(description="spent this month")
    def spent_this_month(self, user: Any) -> str:
        return dollars(getattr(user, "month_micros", None) or 0)

    @admin.display(description="made today")
    def made_today(self, user: Any) -> int:
        return getattr(user, "day_count", None) or 0


def _booked(window: Window, column: str) -> Subquery:
    """One counter of each user's row for `window`, with the provider that is configured."""
    scope = Concat(Value(scope_of("user", provider=settings.PROVIDER) + ":"), Cast(OuterRef("pk"), CharField()))
    rows = QuotaPeriod.objects.filter(scope=scope, period=window.period, starts_on=window.starts_on)
    return Subquery(rows.values(column)[:1])


@admin.register(QuotaPeriod)
class QuotaPeriodAdmin(ReadOnly, admin.ModelAdmin):
    """What each scope has reserved and settled."""

    list_display = ("scope", "period", "starts_on", "reserved_count", "reserved", "settled_count", "settled")
    list_filter = ("period",)
    search_fields = ("scope",)
    date_hierarchy = "starts_on"
    ordering = ("-starts_on", "scope")

    @admin.display(ordering="reserved_micros")
    def reserved(self, row: QuotaPeriod) -> str:
        return dollars(row.reserved_micros)

    @admin.display(ordering="settled_micros")
    def settled(self, row: QuotaPeriod) -> str:
        return dollars(row.settled_micros)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly, admin.ModelAdmin):
    """Every movement of money; none of them can be changed by anybody."""

    list_display = ("created_at", "kind", "user_scope", "user", "model", "amount", "estimated", "reason", "reference")
    list_filter = ("kind", "provider", "estimated", "model")
    list_select_related = ("user",)
    search_fields = ("reference", "user__username", "model", "reason")
    date_hierarchy = "created_at"
    ordering = ("-id",)

    @admin.display(ordering="amount_micros")
    def amount(self, entry: LedgerEntry) -> str:
        return dollars(entry.amount_micros, places=3)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin):
    """Whose tokens there are; what they are is known to nobody."""

    list_display = ("name", "user", "prefix", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "prefix")
    exclude = ("digest",)
    actions = ("revoke",)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if request.user.has_perm("accounts.change_apitoken") else {}

    @admin.action(description="Revoke the selected tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """They are refused from the next request on."""
        for token in queryset:
            tokens.revoke(token, now=timezone.now())
        self.message_user(request, "Revoked.", messages.SUCCESS)


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):
    """Who was invited. The link is shown once, when the invitation is made."""

    list_display = ("email", "created_at", "expires_at", "accepted_at", "accepted_by")
    list_select_related = ("accepted_by",)
    search_fields = ("email",)
    fields = ("email",)
    readonly_when_made: ClassVar = ("email", "created_at", "expires_at", "accepted_at", "accepted_by")

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        return self.readonly_when_made if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        return self.readonly_when_made if obj else ()

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        made, link = invitations.invite(email=obj.email, now=timezone.now(), request=request)
        obj.pk = made.pk
        self.message_user(request, f"The link, shown once: {link}", messages.SUCCESS)


@admin.register(Alert)
class AlertAdmin(ReadOnly, admin.ModelAdmin):
    """What somebody has to look into; docs/operations.md says what to do about each."""

    list_display = ("name", "detail", "count", "first_at", "last_at", "told_at", "over_at")
    list_filter = (("over_at", admin.EmptyFieldListFilter),)
