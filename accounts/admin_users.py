"""People in the admin: their limits, what they have spent of them, and increases for a while."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import ValidationError
from django.db.models import (
    CharField,
    Field,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts import quotas, storage_room
from accounts.admin_base import GigabytesField
from accounts.admin_limits import LIMITS, Limited, warn_below_spent
from accounts.deletion import LastAdministrator, delete_account
from accounts.limits import Unit, scope_of, user_limits
from accounts.models import LimitIncrease, QuotaPeriod, User
from accounts.money import MICROS, dollars
from accounts.periods import PeriodName, Window, windows
from accounts.quotas import Meter
from accounts.sizes import size


class LimitIncreaseForm(forms.ModelForm):
    """So much more, in dollars or generations, until a day to come and for a reason."""

    more = forms.DecimalField(
        label="increase by", min_value=Decimal(0), max_value=1_000_000, max_digits=13, decimal_places=6
    )

    class Meta:
        model = LimitIncrease
        fields = ("unit", "period", "expires_at", "reason")

    def clean_expires_at(self) -> datetime:
        """In the future."""
        moment: datetime = self.cleaned_data["expires_at"]
        if moment <= timezone.now():
            raise ValidationError("An increase ends in the future: choose a later moment.")
        return moment

    def clean(self) -> dict[str, Any]:
        """The amount in the unit that the table keeps."""
        cleaned: dict[str, Any] = super().clean() or {}
        more, unit = cleaned.get("more"), cleaned.get("unit")
        if more is None or not unit:
            return cleaned
        if more <= 0:
            self.add_error("more", "An increase adds something: enter more than zero.")
        elif unit == LimitIncrease.Unit.COUNT and more != int(more):
            self.add_error("more", "Generations are counted in whole numbers.")
        self.instance.amount = int(more * MICROS) if unit == LimitIncrease.Unit.USD else int(more)
        return cleaned


class LimitIncreaseInline(admin.TabularInline):
    """Granted and taken back, never rewritten."""

    model = LimitIncrease
    form = LimitIncreaseForm
    fk_name = "user"
    fields = ("unit", "period", "more", "expires_at", "reason", "granted")
    readonly_fields = ("granted",)
    verbose_name = "temporary increase"
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Another amount is another increase."""
        return False

    @admin.display(description="increase by")
    def more(self, row: LimitIncrease) -> str:
        """Dollars or generations."""
        return dollars(row.amount) if row.unit == LimitIncrease.Unit.USD else f"{row.amount:,}"

    @admin.display(description="granted")
    def granted(self, row: LimitIncrease) -> str:
        """When, by whom, and whether it counts still."""
        if row.pk is None:
            return "with this form"
        over = " (over)" if row.expires_at <= timezone.now() else ""
        return f"{timezone.localtime(row.created_at):%Y-%m-%d %H:%M} by {row.granted_by or 'nobody known'}{over}"


@admin.register(User)
class UserAdmin(Limited, DjangoUserAdmin):
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
        "made_this_month",
        "monthly_count_limit",
        "is_active",
        "is_staff",
    )
    list_editable = LIMITS
    list_per_page = 50
    inlines: ClassVar = [LimitIncreaseInline]
    readonly_fields = ("today", "this_month", "own_limits", "stored", "last_login", "date_joined")
    fieldsets = (
        *(DjangoUserAdmin.fieldsets or ())[:2],
        (
            "Limits and spend",
            {
                "fields": (
                    ("daily_micros_limit", "daily_count_limit"),
                    "today",
                    ("monthly_micros_limit", "monthly_count_limit"),
                    "this_month",
                    "own_limits",
                    ("storage_bytes_limit", "stored"),
                ),
                "description": "Dollars, generations and GB. Empty: no limit. 0: nothing.",
            },
        ),
        *(DjangoUserAdmin.fieldsets or ())[2:],
    )

    class Media:
        css: ClassVar = {"all": ("css/oversight.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With what the configured provider's quota rows say of each."""
        counters = {
            f"{window.period}_{kind}_{unit}": _counter(window, f"{kind}_{unit}")
            for window in windows(timezone.now())
            for kind in ("settled", "reserved")
            for unit in ("micros", "count")
        }
        return User.objects.annotate(**counters)

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        """Bytes are typed in as gigabytes."""
        if db_field.name == "storage_bytes_limit":
            return GigabytesField(required=False, label="GB of storage")
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the page of confirmation says: everything goes, by and by, and nothing forbids it."""
        listed = [
            f"{user}: whatever runs is canceled; assets, predictions and the account are deleted for good within hours"
            for user in objs
        ]
        return listed, {"accounts": len(listed)}, set(), []

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Close the account for good; workers take away what there is of it."""
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """The same of several."""
        self._delete(request, list(queryset))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        """Not that it was deleted, where it was not."""
        if User.objects.filter(pk=obj_id, deletion_asked_at=None).exists():
            return redirect("admin:accounts_user_changelist")
        return super().response_delete(request, obj_display, obj_id)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Written down by whoever does it, without the name that is to be forgotten."""

    def _delete(self, request: HttpRequest, users: list[User]) -> None:
        for user in users:
            try:
                asked = delete_account(user=user, now=timezone.now())
            except LastAdministrator:
                messages.error(request, f"{user} is the only administrator left and was not deleted.")
                continue
            if asked:
                user.refresh_from_db()
                self.log_change(request, user, "Asked for the account to be deleted.")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look sees nothing of a password, not even its hash."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (name, {**options, "fields": [field for field in options["fields"] if field != "password"]})
            for name, options in fieldsets
        ]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Saved with its increases, and said if a new limit is below what is spent already."""
        super().save_related(request, form, formsets, change)
        if change:
            now = timezone.now()
            limits = {key: limit.in_force for key, limit in user_limits(form.instance.pk, now=now).items()}
            warn_below_spent(request, form.instance, limits=limits, changed=form.changed_data, now=now)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """An increase carries who granted it, and when."""
        for row in formset.save(commit=False):
            if isinstance(row, LimitIncrease) and row.pk is None:
                row.created_at, row.granted_by_id = timezone.now(), request.user.pk
            row.save()
        for row in formset.deleted_objects:
            row.delete()
        formset.save_m2m()

    @admin.display(description="spent today", ordering="day_settled_micros")
    def spent_today(self, user: Any) -> str:
        """Settled, and what is held."""
        return _spent(user.day_settled_micros, user.day_reserved_micros, dollars)

    @admin.display(description="spent this month", ordering="month_settled_micros")
    def spent_this_month(self, user: Any) -> str:
        """Settled, and what is held."""
        return _spent(user.month_settled_micros, user.month_reserved_micros, dollars)

    @admin.display(description="made today")
    def made_today(self, user: Any) -> str:
        """Settled, and what is held."""
        return _spent(user.day_settled_count, user.day_reserved_count, "{:,}".format)

    @admin.display(description="made this month")
    def made_this_month(self, user: Any) -> str:
        """Settled, and what is held."""
        return _spent(user.month_settled_count, user.month_reserved_count, "{:,}".format)

    @admin.display(description="today")
    def today(self, user: User) -> SafeString | str:
        """Both meters of the day."""
        return _standing(user, "day")

    @admin.display(description="this month")
    def this_month(self, user: User) -> SafeString | str:
        """Both meters of the month."""
        return _standing(user, "month")

    @admin.display(description="stored")
    def stored(self, user: User) -> str:
        """What the account's files take, thumbnails left out."""
        return size(storage_room.room_of(user.pk).used) if user.pk else "nothing yet"

    @admin.display(description="own limits")
    def own_limits(self, user: User) -> str:
        """What the creator has set below what is allowed."""
        limits = user_limits(user.pk, now=timezone.now()) if user.pk else {}
        own = [
            f"{dollars(limit.own) if unit == 'usd' else f'{limit.own:,} generations'} a {period}"
            for (period, unit), limit in limits.items()
            if limit.own is not None
        ]
        return ", ".join(own) or "none set"


def _counter(window: Window, name: str) -> Subquery:
    """One counter of each user's row for `window`, with the provider that is configured."""
    scope = Concat(Value(scope_of("user", provider=settings.PROVIDER) + ":"), Cast(OuterRef("pk"), CharField()))
    rows = QuotaPeriod.objects.filter(scope=scope, period=window.period, starts_on=window.starts_on)
    return Subquery(rows.values(name)[:1])


def _spent(settled: int | None, reserved: int | None, shown: Any) -> str:
    held = f" + {shown(reserved)} held" if reserved else ""
    return f"{shown(settled or 0)}{held}"


def _standing(user: User, period: PeriodName) -> SafeString | str:
    """What is settled and held of both limits in force, and of what they are made."""
    if not user.pk:
        return "nothing yet"
    now = timezone.now()
    limits, usage = user_limits(user.pk, now=now), quotas.usage(user=user, now=now)
    used = usage.day if period == "day" else usage.month
    lines = []
    meters: list[tuple[Unit, Meter, Callable[[int], str]]] = [
        ("usd", used.usd, dollars),
        ("count", used.count, "{:,} generations".format),
    ]
    for unit, meter, shown in meters:
        limit = limits[period, unit]
        parts = [f"{shown(meter.settled)} settled", f"{shown(meter.reserved)} held"]
        parts.append("no limit" if meter.limit is None else f"limit in force {shown(meter.limit)}")
        if limit.increase:
            parts.append(f"{shown(limit.increase)} of it for a while")
        lines.append((", ".join(parts),))
    return format_html_join("", '<span class="standing">{}</span>', lines)
