"""The form for one's own limits, and what there is to say of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from accounts.limits import Limit, Unit
from accounts.money import MICROS, amount, usd
from accounts.own_limits import MOST_COUNT, MOST_MICROS, allowed
from accounts.periods import PeriodName
from accounts.quotas import Usage

Key = tuple[PeriodName, Unit]
Limits = Mapping[Key, Limit]
NAMES: dict[Key, str] = {
    ("day", "usd"): gettext_noop("USD a day"),
    ("day", "count"): gettext_noop("Generations a day"),
    ("month", "usd"): gettext_noop("USD a month"),
    ("month", "count"): gettext_noop("Generations a month"),
}
AMOUNT = gettext_noop("Give an amount in USD from 0 to %(most)s, such as 2.50, or leave it empty.")
COUNT = gettext_noop("Give a whole number from 0 to %(most)s, or leave it empty.")

# Whatever is wrong with a value, the sentence is the same.
ERRORS = ("invalid", "min_value", "max_value", "max_decimal_places", "max_digits", "max_whole_digits")


def field_name(key: Key) -> str:
    """The name of a limit's field."""
    return f"own_{key[1]}_{key[0]}"


class OwnLimitsForm(forms.Form):
    """Four fields; an empty one is no limit."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key in NAMES:
            self.fields[field_name(key)] = amount_field() if key[1] == "usd" else count_field()
            self.initial[field_name(key)] = _written(key[1], limits[key].own)

    @property
    def limits(self) -> dict[Key, int | None]:
        """Counts and micro-dollars."""
        return {key: figure(key[1], self.cleaned_data[field_name(key)]) for key in NAMES}


def figure(unit: Unit, value: Any) -> int | None:
    """What was typed, as a count or micro-dollars."""
    return None if value is None else int(value * MICROS) if unit == "usd" else int(value)


def amount_field() -> forms.Field:
    """USD, or nothing."""
    return forms.DecimalField(
        required=False,
        min_value=0,
        max_value=MOST_MICROS // MICROS,
        decimal_places=6,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        error_messages=dict.fromkeys(ERRORS, gettext(AMOUNT) % {"most": f"{MOST_MICROS // MICROS:,}"}),
    )


def count_field() -> forms.Field:
    """Generations, or nothing."""
    return forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_COUNT,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
        error_messages=dict.fromkeys(ERRORS, gettext(COUNT) % {"most": f"{MOST_COUNT:,}"}),
    )


def _written(unit: Unit, limit: int | None) -> str:
    return "" if limit is None else usd(limit) if unit == "usd" else str(limit)


@dataclass(frozen=True)
class Row:
    """One field of the form as the page shows it."""

    field: forms.BoundField
    name: str
    hint: str


def rows(form: OwnLimitsForm, *, limits: Limits, usage: Usage) -> list[Row]:
    """The fields, each with what is allowed and whether what is set has an effect."""
    return [Row(form[field_name(key)], gettext(name), remark(key, limits[key], usage)) for key, name in NAMES.items()]


def remark(key: Key, limit: Limit, usage: Usage) -> str:
    """What follows from the limit as it is kept."""
    period, unit = key
    granted = allowed(limit)
    if limit.own is None:
        if granted is None:
            return gettext("Nothing else limits you here.")
        return gettext("You are allowed %(amount)s.") % {"amount": amount(unit, granted)}
    if granted is not None and limit.own >= granted:
        return gettext("Has no effect: you are allowed %(amount)s.") % {"amount": amount(unit, granted)}
    of_period = usage.day if period == "day" else usage.month
    meter = of_period.usd if unit == "usd" else of_period.count
    if meter.settled + meter.reserved >= limit.own:
        at = of_period.resets_at
        if period == "day":
            sentence = gettext("Used up already, so nothing more is started until it resets at %(time)s.")
            return sentence % {"time": date_format(at, "H:i")}
        sentence = gettext("Used up already, so nothing more is started until it resets on %(date)s.")
        return sentence % {"date": date_format(at, "j F")}
    if granted is None:
        return gettext("You would be allowed any amount.")
    return gettext("You would be allowed %(amount)s.") % {"amount": amount(unit, granted)}
