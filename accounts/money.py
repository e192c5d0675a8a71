"""Micro-dollars to the words that people and programs read."""

from decimal import Decimal

MICROS = 1_000_000


def usd(micros: int) -> str:
    """A decimal string in USD for programs: at least two places, no more than the amount needs ("0.039")."""
    amount = Decimal(micros) / MICROS
    text = f"{amount:.6f}".rstrip("0")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"


def dollars(micros: int) -> str:
    """An amount for people, sign before the currency: "$0.039", "−$0.15", "$1,200.00"."""
    whole, _, places = usd(abs(micros)).partition(".")
    return f"{'−' if micros < 0 else ''}${int(whole):,}.{places}"
