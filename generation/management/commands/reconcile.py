"""`manage.py reconcile`: one pass over everything unfinished or doubtful."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from generation.reconcile import reconcile


class Command(BaseCommand):
    """Prints what it found; exit status 1 if something stays wrong."""

    help = "Asks the provider about everything unfinished, stores what is missing, recomputes balances."

    def handle(self, *args: Any, **options: Any) -> None:
        """One pass."""
        findings = reconcile(now=timezone.now())
        for line in [*findings.seen, *(f"WRONG: {line}" for line in findings.wrong)]:
            self.stdout.write(line)
        if findings.wrong:
            sys.exit(1)
