"""B11: whether the Spend page and the admin's lists take as long with a million predictions as with ten thousand.

Two databases of the same creators and months, one with 10,000 predictions and one with a million, three ledger entries
each; two processes, one for each, answer the same pages through the product's own stack by turns: A B A. Where the
two A differ by more than a twentieth in the median, the page's row says nothing. `python -m benchmarks.oversight`; with
`--kept FOLDER` the databases stay there (and as palette_bench_few and …_many), and are found again the next time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.processes import ROOT
from benchmarks.rows import show, verdict
from palette.environment import VARIABLES

RESULTS = ROOT / "var" / "bench-oversight.json"
FEW, MANY = 10_000, 1_000_000
BENCHED = ("palette_bench_few", "palette_bench_many")
MONTHS, USERS = 12, 20
ROUNDS, WARM_UP = 15, 3
GOAL = 1.5
# These read more where there is more, up to a bound: the days at the edges of a range of months, at most sixty of them,
# and 50,000 rows whose sums come after the list.
BOUNDED_GOALS = {"Spend of many weeks": 3.0, "sums of failed predictions": 20.0}
PAGES = {
    "Spend": "accounts/dailyspend/",
    "Spend of the year": "accounts/dailyspend/?from={year}-01-01&to={year}-12-31",
    "Spend of many weeks": "accounts/dailyspend/?from={year}-03-11&to={year}-10-20",
    "Spend of a user": "accounts/dailyspend/?user={user}",
    "predictions": "generation/prediction/",
    "failed predictions": "generation/prediction/?status=failed",
    "sums of failed predictions": "generation/prediction/sums/?status=failed",
    "predictions declined": "generation/prediction/?error_code=sensitive",
    "predictions at our estimate": "generation/prediction/?cost=estimate",
    "ledger": "accounts/ledgerentry/",
    "charges": "accounts/ledgerentry/?kind=settle",
    "charges at our estimate": "accounts/ledgerentry/?estimated=yes",
    "charges by figures": "accounts/ledgerentry/?estimated=no",
    "users": "accounts/user/",
    "quota periods": "accounts/quotaperiod/",
}


class Answering:
    """A process that answers pages from one database."""

    def __init__(self, environment: Mapping[str, str], predictions: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.oversight", "--answer", str(predictions)],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin and self._process.stdout
        self._asks, self._answers = self._process.stdin, self._process.stdout
        self.filled: dict[str, Any] = self._read()

    def get(self, page: str) -> dict[str, Any]:
        """Seconds, statements and bytes of one answer."""
        self._asks.write(page + "\n")
        self._asks.flush()
        return self._read()

    def end(self) -> None:
        """Let it go."""
        self._asks.close()
        self._process.wait(30)

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the answering process has ended")
        found: dict[str, Any] = json.loads(line)
        return found


def measure(few: Answering, many: Answering, *, where: str) -> Iterator[dict[str, Any]]:
    """One row a page."""
    for name, page in PAGES.items():
        first: list[float] = []
        second: list[float] = []
        again: list[float] = []
        busy: list[float] = []
        for turn in range(WARM_UP + ROUNDS):
            answers = [process.get(page) for process in (few, many, few)]
            if turn >= WARM_UP:
                for found, answered in zip((first, second, again), answers, strict=True):
                    found.append(answered["seconds"])
                busy.append(2 * answers[1]["cpu"] / (answers[0]["cpu"] + answers[2]["cpu"]))
        ratios = [2 * b / (a + c) for a, b, c in zip(first, second, again, strict=True)]
        quartiles = statistics.quantiles(ratios, n=4)
        same = statistics.median(first) / statistics.median(again)
        statements = [process.get(page)["statements"] for process in (few, many)]
        yield {
            "id": "B11",
            "name": f"{name}: {many.filled['predictions']:,} to {few.filled['predictions']:,} predictions",
            "where": where,
            "value": round(quartiles[1], 3),
            "goal": BOUNDED_GOALS.get(name, GOAL),
            "better": "lower",
            "unit": "ratio",
            "iqr": round(quartiles[2] - quartiles[0], 3),
            "p95": round(statistics.quantiles(ratios, n=20)[-1], 3),
            "reference": {"name": "the same page with few, seconds", "value": round(statistics.median(first), 4)},
            "many_seconds": round(statistics.median(second), 4),
            "statements": statements,
            # Of the answering process alone; says more than the clock where others are at work.
            "cpu_ratio": round(statistics.median(busy), 3),
            "same": round(same, 3),
            "rounds": ROUNDS,
            "void": not 0.95 <= same <= 1.05,
        }


def answer(predictions: int) -> None:
    """Fill the database that the environment names, then answer a page for each line that is read."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from accounts.models import LedgerEntry, User
    from benchmarks.oversight_rows import multiply
    from generation.demonstration import Plan, make
    from generation.models import Prediction

    call_command("migrate", verbosity=0)
    began, now = time.perf_counter(), timezone.now()
    if not Prediction.objects.exists():
        make(plan=Plan(predictions=FEW, months=MONTHS, users=USERS, history=False, corrected=1.0), now=now)
        multiply(predictions // FEW, now=now)
    with connection.cursor() as cursor:
        # What autovacuum has done to tables that have grown in their own time.
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    filled = time.perf_counter() - began
    user = User.objects.filter(is_staff=False).order_by("pk")[0]
    viewer, _ = User.objects.get_or_create(username="bench", defaults={"is_staff": True, "is_superuser": True})
    client = Client(SERVER_NAME="127.0.0.1", headers={"HX-Request": "true"})
    client.force_login(viewer)
    tell({"predictions": predictions, "entries": LedgerEntry.objects.count(), "seconds": round(filled, 1)})
    for line in sys.stdin:
        page = line.strip().format(year=timezone.localdate().year, user=user.pk)
        began, busy = time.perf_counter(), time.process_time()
        response = client.get(f"/{settings.ADMIN_PATH}{page}")
        size, seconds = len(response.content), time.perf_counter() - began
        busy = time.process_time() - busy
        if response.status_code != 200:
            raise RuntimeError(f"{page}: {response.status_code}")
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/{settings.ADMIN_PATH}{page}")
        tell({"seconds": seconds, "cpu": busy, "bytes": size, "statements": len(asked)})


def tell(facts: Mapping[str, Any]) -> None:
    """One line of JSON for whoever has started us."""
    print(json.dumps(facts), flush=True)


@contextmanager
def databases(folder: Path, *, kept: bool) -> Iterator[dict[str, tuple[dict[str, str], dict[str, str]]]]:
    """Where → the surroundings for few and for many: SQLite, and PostgreSQL if DATABASE_URL leads to one."""
    base = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    base |= {"DJANGO_SETTINGS_MODULE": "palette.settings", "LOG_LEVEL": "error", "PYTHONHASHSEED": "0"}
    places = {"sqlite": (base | {"DATA_DIR": str(folder / "few")}, base | {"DATA_DIR": str(folder / "many")})}
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith("postgres"):
        few, many = (f"{url.rpartition('/')[0]}/palette_bench_{name}" for name in ("few", "many"))
        places["postgresql"] = (
            base | {"DATA_DIR": str(folder / "few"), "DATABASE_URL": few},
            base | {"DATA_DIR": str(folder / "many"), "DATABASE_URL": many},
        )
        with psycopg.connect(url, autocommit=True) as connection:
            for name in BENCHED:
                if not kept:
                    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                    connection.execute(f"CREATE DATABASE {name}")
    yield places
    if url.startswith("postgres") and not kept:
        with psycopg.connect(url, autocommit=True) as connection:
            for name in BENCHED:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def main(kept: Path | None) -> int:
    """1 when a goal is missed by a row that counts, or a page has more statements where there is more."""
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="palette-oversight-") as name,
        databases(kept or Path(name), kept=kept is not None) as places,
    ):
        for where, (environment_of_few, environment_of_many) in places.items():
            few = Answering(environment_of_few, FEW)
            many = Answering(environment_of_many, MANY)
            print(f"{time.strftime('%T')} {where}: filled with {few.filled} and {many.filled}", flush=True)
            rows += measure(few, many, where=where)
            few.end()
            many.end()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)
    for row in rows:
        took = f"{row['many_seconds'] * 1000:.0f} ms, processor {row['cpu_ratio']}, statements {row['statements']}"
        print(f"{row['where']} {row['name']}: {took}")
    more = any(many > few for few, many in (row["statements"] for row in rows))
    return int(more or any(verdict(row) == "missed" for row in rows))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--answer", type=int, default=0)
    arguments.add_argument("--many", type=int, default=MANY, help="how many predictions the larger database has")
    arguments.add_argument("--rounds", type=int, default=ROUNDS, help="how often each page is asked for and compared")
    arguments.add_argument("--kept", type=Path, help="a folder for the databases, which stay")
    arguments.add_argument("--only", default="", help="the pages whose names hold this")
    given = arguments.parse_args()
    if given.answer:
        answer(given.answer)
    else:
        MANY, ROUNDS = given.many, given.rounds
        PAGES = {name: page for name, page in PAGES.items() if given.only in name}
        sys.exit(main(given.kept))
