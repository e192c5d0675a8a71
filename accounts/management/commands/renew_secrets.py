"""`manage.py renew_secrets`: after a change of SECRET_KEY, before the old one is forgotten."""

from typing import Any

from django.core.management.base import BaseCommand

from accounts import two_factor


class Command(BaseCommand):
    """Safe to run twice, and beside everything else."""

    help = "Encrypt again, under the newest SECRET_KEY, what the database keeps encrypted."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{two_factor.keep_under_newest_key()} secrets are kept under the newest key.")
