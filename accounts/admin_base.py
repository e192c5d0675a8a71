"""What admin pages are made of: rows that are only read, changes that are written down, amounts in dollars."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import CharField, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.choices import flatten_choices

from accounts.money import MICROS, dollars
from accounts.sizes import size

NONE = "none"
LONGEST_VALUE = 200
# Of what has such a word in its name only the change is written down, never a value.
SECRET_WORDS = ("password", "token", "digest", "secret")


class DollarsField(forms.DecimalField):
    """Micro-dollars in the database, dollars in the form; empty means no limit."""

    scale = MICROS

    def __init__(self, *, min_value: Decimal = Decimal(0), **kwargs: Any) -> None:
        widget = forms.NumberInput(attrs={"class": "vIntegerField", "step": "any"})
        super().__init__(
            min_value=min_value, max_value=1_000_000, max_digits=13, decimal_places=6, widget=widget, **kwargs
        )

    def prepare_value(self, value: Any) -> Any:
        """Dollars without an exponent."""
        return (Decimal(value) / self.scale).normalize().__format__("f") if isinstance(value, int) else value

    def clean(self, value: Any) -> Any:
        """Micro-dollars, or None."""
        amount = super().clean(value)
        return None if amount is None else int(amount * self.scale)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as it is typed: 50 and 50.0 are the same."""
        shown = self.prepare_value(initial)
        return bool(super().has_changed(Decimal(shown) if isinstance(shown, str) and shown else shown, data))

    def said(self, value: int) -> str:
        """What the database holds, in words."""
        return dollars(value)


class GigabytesField(DollarsField):
    """Bytes in the database, GB in the form; empty means no limit."""

    scale = 10**9

    def said(self, value: int) -> str:
        """As pages show it."""
        return size(value)


class CheckedList(ChangeList):
    """A list that refuses, like any strange parameter, numbers and dates that no column has."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Dates are read here."""
        with _refused():
            return super().get_filters(request)

    def get_results(self, request: HttpRequest) -> None:
        """Numbers meet the database here."""
        with _refused():
            super().get_results(request)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise IncorrectLookupParameters from error


class Checked:
    """Before `ModelAdmin`: the list refuses more than Django's own."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Beyond what Django checks."""
        return CheckedList


class ReadOnly(Checked):
    """Before `ModelAdmin` or an inline: rows that only the product itself writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No row comes into being here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No row changes here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No row ends here."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Who may do nothing here may not post either."""
        _refuse_idle_post(cast(admin.ModelAdmin, self), request)
        return cast(HttpResponse, super().changelist_view(request, extra_context))  # type: ignore[misc]  # mixed in


def _refuse_idle_post(page: admin.ModelAdmin, request: HttpRequest) -> None:
    if request.method == "POST" and not (page.has_change_permission(request) or page.get_actions(request)):
        raise PermissionDenied


class Recorded(admin.ModelAdmin):
    """A `ModelAdmin` whose history says `field: before → after` of forms, lists and inlines, and what was deleted.

    Actions write their own sentence with `log_change`.
    """

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """One line for the row, and one for each row of the inlines."""
        lines = [f"Added. {_given(form)}" if add else _changes(form)]
        for formset in formsets or ():
            lines += _inline_lines(formset)
        return "\n".join(line for line in lines if line) or "Saved without a change."

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Beyond what Django checks."""
        return CheckedList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Who may do nothing here may not post either."""
        _refuse_idle_post(self, request)
        return super().changelist_view(request, extra_context)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """What each row said before it went."""
        for row in queryset:
            said = f"Deleted. {described(row)}"
            LogEntry.objects.log_actions(_who(request), [row], DELETION, change_message=said, single_object=True)


def _who(request: HttpRequest) -> int:
    return int(request.user.pk or 0)


def described(row: Model) -> str:
    """A row's columns in words, secrets left out; those that end in `_micros` or `_micros_limit` in dollars."""
    parts = []
    for field in row._meta.concrete_fields:
        if (field.primary_key and not isinstance(field, CharField)) or _is_secret(field.name):
            continue
        value = getattr(row, field.name)
        if isinstance(value, int) and field.name.endswith(("_micros", "_micros_limit")):
            value = dollars(value)
        if (said := words(value)) != NONE:
            parts.append(f"{str(field.verbose_name).removesuffix(' micros')}: {said}")
    return "; ".join(parts)


def words(value: Any) -> str:
    """A value for people; nothing longer than a line."""
    if value is None or value in ("", [], {}):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{timezone.localtime(value) if timezone.is_aware(value) else value:%Y-%m-%d %H:%M}"
    if isinstance(value, QuerySet | list | tuple | set):
        return ", ".join(sorted(str(item) for item in value)) or NONE
    return str(value)[:LONGEST_VALUE]


def _changes(form: forms.BaseForm) -> str:
    """What a form has changed, by what was in the row; of a secret only that it was.

    `changed_data` alone would not do: it compares with what the page showed, which may be older than the row.
    """
    parts = [f"{name.replace('_', ' ')}: changed" for name in form.changed_data if _is_secret(name)]
    for name, field in form.fields.items():
        if field.widget.is_hidden or _is_secret(name):
            continue
        before, after = form.get_initial_for_field(field, name), form.cleaned_data.get(name)
        said, now_said = _said(field, before), _said(field, after)
        if said != now_said or (name in form.changed_data and not field.show_hidden_initial):
            parts.append(f"{_label(form, name)}: {said} → {now_said}")
    return "; ".join(parts)


def _given(form: forms.BaseForm) -> str:
    """What a new row begins with."""
    told = {name: field for name, field in form.fields.items() if not (field.widget.is_hidden or _is_secret(name))}
    said = {name: _said(field, form.cleaned_data.get(name)) for name, field in told.items() if name != "DELETE"}
    return "; ".join(f"{_label(form, name)}: {value}" for name, value in said.items() if value != NONE)


def _inline_lines(formset: Any) -> list[str]:
    """A line for each row that an inline has added, changed or deleted."""
    name = formset.model._meta.verbose_name
    forms_of = {id(form.instance): form for form in formset.forms}
    return [
        *(f"Added {name}. {_given(forms_of[id(row)])}" for row in formset.new_objects),
        *(f"Changed {name} “{row}”. {_changes(forms_of[id(row)])}" for row, _ in formset.changed_objects),
        *(f"Deleted {name} “{row}”." for row in formset.deleted_objects),
    ]


def _said(field: forms.Field, value: Any) -> str:
    """A form's value, before or after, in words."""
    if value is None or value == "":
        return NONE
    if isinstance(field, DollarsField):
        return field.said(int(value))
    if isinstance(field, forms.ModelMultipleChoiceField):
        return words(value)
    if isinstance(field, forms.ModelChoiceField):
        chosen = value if isinstance(value, Model) else field.queryset and field.queryset.filter(pk=value).first()
        return words(chosen or value)
    if isinstance(field, forms.ChoiceField):
        return words(dict(flatten_choices(cast(Any, field.choices))).get(value, value))
    return words(value)


def _label(form: forms.BaseForm, name: str) -> str:
    return str(form.fields[name].label or name.replace("_", " "))


def _is_secret(name: str) -> bool:
    return any(word in name for word in SECRET_WORDS)
