"""`manage.py set_quota`: what one account may make and spend."""

import argparse
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.management.accounts import named
from accounts.management.records import record
from accounts.models import User
from accounts.money import MICROS, dollars

MOST_COUNT = 2**31 - 1
MOST_USD = 1_000_000
NONE = "none"


class Command(BaseCommand):
    """Changes the limits that are given and leaves the others; what was and what is now is written down."""

    help = "Set the limits of an account; `none` lifts one, 0 allows nothing."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username")
        for name in ("--daily-count", "--monthly-count"):
            parser.add_argument(name, metavar="N", help="generations, or none")
        for name in ("--daily-usd", "--monthly-usd"):
            parser.add_argument(name, metavar="X", help="dollars, or none")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        fields: dict[str, tuple[str, Callable[[str, str], int | None]]] = {
            "daily_count": ("daily_count_limit", count),
            "monthly_count": ("monthly_count_limit", count),
            "daily_usd": ("daily_micros_limit", micros),
            "monthly_usd": ("monthly_micros_limit", micros),
        }
        given = {name: options[name] for name in fields if options[name] is not None}
        if not given:
            raise CommandError("Name at least one limit: --daily-count, --monthly-count, --daily-usd, --monthly-usd.")
        user = named(username)
        changes = {fields[name][0]: fields[name][1](name, value) for name, value in given.items()}
        with transaction.atomic():
            before = User.objects.select_for_update().get(pk=user.pk)
            User.objects.filter(pk=user.pk).update(**changes)
            user.refresh_from_db()
            record("set_quota", user, differences(before, user, changes))
        self.stdout.write(summary(user))


def count(name: str, given: str) -> int | None:
    """A number of generations; None for `none`. Raises `CommandError`."""
    if given.lower() == "none":
        return None
    if not (given.isascii() and given.isdigit()) or int(given) > MOST_COUNT:
        raise CommandError(
            f"{option(name)} is {given!r}, but a whole number from 0 to {MOST_COUNT}, or none, is accepted."
        )
    return int(given)


def micros(name: str, given: str) -> int | None:
    """Micro-dollars; None for `none`. Raises `CommandError`."""
    if given.lower() == "none":
        return None
    try:
        amount = Decimal(given)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= MOST_USD:
        raise CommandError(
            f"{option(name)} is {given!r}, but an amount in USD from 0 to {MOST_USD}, or none, is accepted."
        )
    return int(amount * MICROS)


def option(name: str) -> str:
    """The option as it was typed."""
    return f"--{name.replace('_', '-')}"


def differences(before: User, after: User, columns: Iterable[str]) -> str:
    """Each limit that was given as it was and as it is, in the words of the admin's records."""
    return "; ".join(f"{label(name)}: {said(before, name)} → {said(after, name)}" for name in columns)


def label(column: str) -> str:
    """What a limit is called in the admin's forms."""
    period = "day" if column.startswith("daily") else "month"
    return f"USD a {period}" if "micros" in column else f"Generations a {period}"


def said(user: User, column: str) -> str:
    """A limit in words."""
    limit: int | None = getattr(user, column)
    if limit is None:
        return NONE
    return dollars(limit) if "micros" in column else str(limit)


def summary(user: User) -> str:
    """The limits that count from now on."""
    counts = [("day", user.daily_count_limit), ("month", user.monthly_count_limit)]
    money = [("day", user.daily_micros_limit), ("month", user.monthly_micros_limit)]
    parts = [f"{'any number' if limit is None else limit} a {period}" for period, limit in counts]
    parts += [f"{'any amount' if limit is None else dollars(limit)} a {period}" for period, limit in money]
    return f"{user.username}: {', '.join(parts)}"
