"""`manage.py worker`: does what is due until it is told to stop."""

import logging
import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from generation.checks import OF_SETTINGS, note_whether_webhooks_arrive
from generation.work.lanes import NAMES
from generation.work.loop import Loop

log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Any number may run, on any number of hosts that share one PostgreSQL; on SQLite, on one machine."""

    # All others judge the code, which is the same at every start, and take as long as to load it.
    requires_system_checks = [OF_SETTINGS]  # noqa: RUF012  (Django has it so)
    help = "Works off what is due: submits, looks, stores, derives."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--lanes` limits a worker to some kinds of work."""
        parser.add_argument("--lanes", default=",".join(NAMES), help=f"separated by commas, of: {', '.join(NAMES)}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        names = [name.strip() for name in options["lanes"].split(",") if name.strip()]
        if unknown := sorted(set(names) - set(NAMES)):
            raise CommandError(f"There is no lane {', '.join(unknown)}; there are {', '.join(NAMES)}.")
        threading.Thread(target=_try_public_url, name="public-url", daemon=True).start()
        loop = Loop(names)
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: loop.stop())
        if not loop.run():
            # A thread still waits for somebody's network; its row is another worker's in half a minute.
            logging.shutdown()
            os._exit(0)


def _try_public_url() -> None:
    """Once, beside the work: nobody waits for the answer."""
    try:
        note_whether_webhooks_arrive()
    except DatabaseError as error:
        log.warning("whether webhooks arrive could not be noted (%s)", type(error).__name__)
    finally:
        connection.close()
