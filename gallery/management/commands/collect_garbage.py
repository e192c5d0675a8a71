"""`manage.py collect_garbage`: objects without rows, rows without objects, dead uploads."""

import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from gallery import audit, garbage
from gallery.storage import StorageError

HOUR = timedelta(hours=1)


class Command(BaseCommand):
    """Prints what it found, a sentence a line; exit status 1 if something is wrong that it cannot mend."""

    help = (
        "Compares the store with the assets both ways, deletes objects that no asset names and uploads that died, and "
        "names assets whose file is gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """A rehearsal, and what is too young to be judged."""
        parser.add_argument("--dry-run", action="store_true", help="only say what there is; nothing changes")
        parser.add_argument(
            "--older-than",
            type=int,
            metavar="HOURS",
            default=audit.ORPHAN_AFTER // HOUR,
            help="leave younger objects alone, whose asset may still be on its way (24, at least 1)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """One pass. Raises CommandError for an age that is not safe, and when the store does not answer."""
        if options["older_than"] < 1:
            raise CommandError("--older-than is at least 1: a younger object's asset may still be on its way.")
        older_than, keep = options["older_than"] * HOUR, options["dry_run"]
        try:
            findings = garbage.collect(now=timezone.now(), older_than=older_than, keep=keep)
        except StorageError as error:
            raise CommandError(f"The store could not be looked through: {error}.") from error
        for line in [
            *findings.seen,
            *(f"no asset: {key}" for key in findings.orphans),
            *(f"WRONG: {line}" for line in findings.wrong),
        ]:
            self.stdout.write(line)
        if findings.wrong:
            sys.exit(1)
