"""Micro-dollars to the words that people and programs read."""

from decimal import Decimal

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


def amount(unit: str, figure: int) -> str:
    """So much of a limit, for people: micro-dollars where the unit is `usd`, else a count."""
    return dollars(figure) if unit == "usd" else f"{figure:,} generation{'' if figure == 1 else 's'}"
