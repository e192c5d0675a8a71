"""`manage.py demo_data`: made-up creators with a month of work, for a look at the admin."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from generation.demonstration import AlreadyThere, Plan, make

HERE = frozenset({"127.0.0.1", "::1", "localhost"})


class Command(BaseCommand):
    """Refused in production, and where a real provider is configured."""

    help = (
        "Makes up creators (demo-…) with predictions, their history, ledger and counters, so that the Spend page and"
        " the admin's lists have something to show. Simulated, like everything that the sandbox makes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How much of it."""
        plan = Plan()
        parser.add_argument("--predictions", type=int, default=plan.predictions, help="how many (%(default)s)")
        parser.add_argument("--months", type=int, default=plan.months, help="over how long (%(default)s)")
        parser.add_argument("--users", type=int, default=plan.users, help="of how many creators (%(default)s)")
        parser.add_argument("--seed", type=int, default=plan.seed, help="another number draws other data")
        parser.add_argument(
            "--books-only", action="store_true", help="no timelines, files and deliveries: for very large amounts"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """All of it or nothing."""
        if settings.PRODUCTION:
            raise CommandError("Made-up data is not for production.")
        if urlsplit(settings.PROVIDER_URL).hostname not in HERE:
            raise CommandError(
                "A real provider is configured, whose budget made-up spend would use up: unset REPLICATE_API_TOKEN."
            )
        least = {"predictions": 1, "months": 1, "users": 1}
        for name, smallest in least.items():
            if not smallest <= options[name] <= 10_000_000:
                raise CommandError(f"--{name} is a number of at least {smallest}.")
        plan = Plan(history=not options["books_only"], **{name: options[name] for name in (*least, "seed")})
        try:
            users = make(plan=plan, now=timezone.now())
        except AlreadyThere:
            self.stdout.write("There are made-up creators already; nothing was changed.")
            return
        self.stdout.write(f"{plan.predictions} predictions of {len(users)} made-up creators: the admin's Spend page.")
