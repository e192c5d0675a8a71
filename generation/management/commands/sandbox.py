"""`manage.py sandbox`: the bundled provider, for a machine without a key."""

import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.sandbox.server import Sandbox
from generation.sandbox.timing import BadSpeed


class Command(BaseCommand):
    """Serves until it is told to end."""

    help = "Run the bundled provider, which speaks Replicate's HTTP API and paints its own pictures and films."
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django has it so)

    def add_arguments(self, parser: CommandParser) -> None:
        """Where and how fast."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
        parser.add_argument("--data-dir", type=Path, default=None, help="its own folder (DATA_DIR/sandbox)")
        parser.add_argument("--speed", default="fast", help="fast, real, instant, or how many times faster than real")
        parser.add_argument("--quiet", action="store_true", help="print nothing but errors")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refused in production; ends on SIGINT or SIGTERM."""
        if settings.PRODUCTION:
            raise CommandError("The sandbox is not for production.")
        try:
            sandbox = Sandbox(
                options["data_dir"] or settings.DATA_DIR / "sandbox",
                speed=options["speed"],
                host=options["host"],
                port=options["port"],
            )
        except (BadSpeed, OSError) as error:
            raise CommandError(f"The sandbox cannot start: {error}") from None
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        sandbox.start()
        if not options["quiet"]:
            self.stdout.write(f"Sandbox provider is ready: {sandbox.url} (speed {options['speed']})")
            self.stdout.flush()
        ended.wait()
        sandbox.stop()
