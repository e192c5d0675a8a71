"""Micro-dollars to the words that people and programs read."""

from decimal import ROUND_HALF_UP, Decimal

from django.utils.translation import ngettext

MICROS = 1_000_000


def usd(micros: int, *, places: int = 2) -> str:
    """A decimal string in USD for programs: `places` at least, and as many as the amount needs ("0.039")."""
    amount = Decimal(micros) / MICROS
    text = f"{amount:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(places, '0')}"


def dollars(micros: int, *, places: int = 2) -> str:
    """An amount for people, sign before the currency: "$0.039", "−$0.15", "$1,200.00"."""
    whole, _, cents = usd(abs(micros), places=places).partition(".")
    return f"{'−' if micros < 0 else ''}${int(whole):,}.{cents}"


def rounded(micros: int) -> str:
    """An amount at a glance: cents from a dollar on, below it tenths of a cent ("$0.039"), and the least as it is."""
    step = 10_000 if abs(micros) >= MICROS else 1_000 if abs(micros) >= 1_000 else 1
    return dollars(int((Decimal(micros) / step).to_integral_value(ROUND_HALF_UP)) * step)


def amount(unit: str, figure: int) -> str:
    """So much of a limit, for people: micro-dollars where the unit is `usd`, else a count."""
    if unit == "usd":
        return dollars(figure)
    return ngettext("%(count)s generation", "%(count)s generations", figure) % {"count": f"{figure:,}"}
