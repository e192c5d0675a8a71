"""`manage.py derive`: thumbnails, posters, previews and colours made anew, by the worker."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gallery import derivatives
from gallery.models import Asset


class Command(BaseCommand):
    """Marks assets as due; what they have stays in use until the new is there."""

    help = "Has thumbnails, posters and previews made anew by the worker, the newest assets' first."

    def add_arguments(self, parser: CommandParser) -> None:
        """Exactly one of: all, what is missing, or these."""
        parser.add_argument("ids", nargs="*", metavar="ID", help="Of these assets alone.")
        parser.add_argument("--all", action="store_true", help="Of every asset.")
        parser.add_argument("--missing", action="store_true", help="Of assets that lack any of them.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many are due now; raises CommandError for what cannot be understood."""
        if [bool(options["ids"]), options["all"], options["missing"]].count(True) != 1:
            raise CommandError("Say which: --all, --missing, or the ids of assets.")
        rows = Asset.objects.all()
        if options["missing"]:
            rows = derivatives.lacking(rows)
        elif options["ids"]:
            ids = {_id(word) for word in options["ids"]}
            rows = rows.filter(pk__in=ids)
            if unknown := ids - set(rows.values_list("pk", flat=True)):
                raise CommandError(f"There is no asset {min(map(str, unknown))}.")
        count = derivatives.make_due(rows)
        self.stdout.write(f"Derivatives of {count} asset{'' if count == 1 else 's'} are due; the worker makes them.")


def _id(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise CommandError(f"{word!r} is no id of an asset.") from None
