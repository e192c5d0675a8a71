"""`manage.py reconcile`: one pass over everything that may have gone wrong."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from generation.reconcile import reconcile


class Command(BaseCommand):
    """Prints what it found, a sentence a line; exit status 1 if something stays wrong."""

    help = (
        "Asks the provider about everything unfinished or in doubt, stores what is missing, looks whether every asset "
        "has its file and every file its asset, and recomputes balances."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One switch for the cautious."""
        parser.add_argument(
            "--keep-objects", action="store_true", help="only count the objects in the store that no asset names"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """One pass."""
        findings = reconcile(now=timezone.now(), keep_objects=options["keep_objects"])
        for line in [*findings.seen, *(f"WRONG: {line}" for line in findings.wrong)]:
            self.stdout.write(line)
        if findings.wrong:
            sys.exit(1)
