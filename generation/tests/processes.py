"""Real worker processes over the test's own database."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connection
from django.utils import timezone

from gallery.models import Asset
from generation.models import Output, Prediction

ROOT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """Where the test's database is, as another process names it."""
    named = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{named['NAME']}"
    user = quote(named["USER"] or "")
    password = f":{quote(named['PASSWORD'])}" if named["PASSWORD"] else ""
    return f"postgres://{user}{password}@{named['HOST']}:{named['PORT'] or 5432}/{named['NAME']}"


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that works on the test's rows and files."""
    return os.environ | {
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(settings.DATA_DIR),
        "SANDBOX_URL": settings.PROVIDER_URL,
        "PORT": str(urlsplit(settings.WEBHOOK_ORIGIN).port or 8000),
        "DJANGO_SETTINGS_MODULE": "palette.settings",
        "LOG_LEVEL": "warning",
        **more,
    }


@contextmanager
def worker(*, lanes: str = "", **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py worker` with `more` in its environment; killed in the end if it still lives."""
    named = ["--lanes", lanes] if lanes else []
    process = subprocess.Popen([sys.executable, "manage.py", "worker", *named], cwd=ROOT, env=environment(**more))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def let_leases_end() -> None:
    """As if thirty seconds had passed since the last renewal."""
    past = timezone.now() - timedelta(seconds=1)
    for model in (Prediction, Output, Asset):
        model._default_manager.filter(lease_until__gt=past).update(lease_until=past)
        model._default_manager.filter(due_at__gt=past).update(due_at=past)
