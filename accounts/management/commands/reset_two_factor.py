"""`manage.py reset_two_factor`: for somebody who has lost the phone and the recovery codes."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from accounts import two_factor
from accounts.management.accounts import named


class Command(BaseCommand):
    """Whoever runs it has made sure of who asks."""

    help = "Turn two-factor sign-in off for one account."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        was_on = two_factor.forget(named(username))
        self.stdout.write("Turned off." if was_on else "It was not on.")
