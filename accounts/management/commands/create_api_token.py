"""`manage.py create_api_token`: a token for programs."""

import argparse
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.management.accounts import named
from accounts.models import ApiToken
from accounts.models.tokens import SCOPES
from accounts.tokens import create_token

MOST_DAYS = 36_500


class Command(BaseCommand):
    """Standard output is the token and nothing else, so that a script can take it."""

    help = "Make an API token for an account and print it; it cannot be shown again."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="what will use it")
        parser.add_argument("--expires-days", type=int, help="without it the token does not expire")
        parser.add_argument(
            "--scope", action="append", choices=SCOPES, help="what it may do; may be repeated, without it everything"
        )

    def handle(
        self,
        *args: Any,
        username: str,
        name: str,
        expires_days: int | None,
        scope: list[str] | None = None,
        **options: Any,
    ) -> None:
        longest = ApiToken._meta.get_field("name").max_length or 0
        if not 1 <= len(name.strip()) <= longest:
            raise CommandError(f"--name takes 1 to {longest} characters.")
        if expires_days is not None and not 1 <= expires_days <= MOST_DAYS:
            raise CommandError(f"--expires-days takes a whole number from 1 to {MOST_DAYS}.")
        now = timezone.now()
        expires_at = now + timedelta(days=expires_days) if expires_days else None
        _, token = create_token(
            user=named(username), name=name.strip(), expires_at=expires_at, now=now, scopes=scope or SCOPES
        )
        self.stdout.write(token)
