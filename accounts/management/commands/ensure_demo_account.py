"""`manage.py ensure_demo_account`: makes the demo account once."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.demo import ensure_demo_account


class Command(BaseCommand):
    """Prints its password only when the account is made."""

    help = "Make the demo account if there is none, and say how to sign in with it."

    def handle(self, *args: Any, **options: Any) -> None:
        name, password = ensure_demo_account(now=timezone.now())
        if password:
            self.stdout.write(f"Demo account: {name}, password: {password} (shown once)")
        else:
            self.stdout.write(f"Demo account: {name}. A new password: manage.py changepassword {name}")
