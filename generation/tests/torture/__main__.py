"""`make torture`: every row of the fault matrix on SQLite and files, and on PostgreSQL, Redis and an S3 server.

Writes docs/reliability/torture.md. Exit status 1 when a test fails, or a row was not tried somewhere.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gallery.tests.s3server import s3_server
from generation.tests.torture.rows import ROOT, ROWS
from palette.environment import VARIABLES
from palette.tests.__main__ import say, without_database, without_redis

TABLE = ROOT / "docs" / "reliability" / "torture.md"
EMBEDDED, SERVICES = "SQLite", "PostgreSQL"
NAMES = {"sqlite": EMBEDDED, "postgresql": SERVICES}
DATABASES = ("DATABASE_URL", "REDIS_URL")
Line = dict[str, Any]


def main() -> int:
    """Run both, write the table, say what is missing; the arguments go to pytest."""
    if problem := without_database() or without_redis():
        say(f"cannot be whole: {problem}")
        return 1
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        report = Path(folder) / "report.jsonl"
        say("of the fault matrix, on SQLite and files")
        codes = [run(report, {})]
        say("of the fault matrix, on PostgreSQL, Redis and an S3 server")
        with s3_server() as server:
            codes.append(run(report, {name: os.environ[name] for name in DATABASES} | server.variables))
        lines = [json.loads(line) for line in report.read_text().splitlines()]
    missing = not_tried(lines)
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text("\n".join(page(lines, missing)) + "\n")
    for sentence in missing:
        say(sentence)
    say(f"are written down in {TABLE.relative_to(ROOT)}")
    return 1 if any(codes) or missing else 0


def run(report: Path, services: dict[str, str]) -> int:
    """pytest over every row, with these services and no others."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    words = ["-m", "pytest", "generation/tests/torture", "-m", "row", "-n", "2", "--timeout", "300"]
    words += ["--hypothesis-profile", "fuzz", *sys.argv[1:]]
    # With CI=true what a row needs and does not find is a failure.
    environment = kept | services | {"TORTURE_REPORT": str(report), "CI": "true"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=False).returncode


def not_tried(lines: list[Line]) -> list[str]:
    """Rows without a test that ran, by place."""
    tried = {(line["row"], NAMES[line["where"]]) for line in lines if line["outcome"] != "skipped"}
    return [f"{row} was not tried on {where}" for row in ROWS for where in NAMES.values() if (row, where) not in tried]


def page(lines: list[Line], missing: list[str]) -> Iterator[str]:
    """The table as it is kept."""
    by_row: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_row[line["row"]].append(line)
    passed = sum(line["outcome"] == "passed" for line in lines)
    yield "# The fault matrix, last run"
    yield ""
    yield f"`make torture` on {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores:"
    yield f"{passed} of {len(lines)} tests passed, {len(missing)} rows were not tried somewhere. Real processes on real"
    yield "databases; what is seen after each fault is computed by the oracle (`generation/tests/torture/oracle.py`)."
    yield ""
    yield f"| row | fault | {EMBEDDED} | {SERVICES} | seen in the end (first test, {SERVICES}) |"
    yield "|---|---|---|---|---|"
    for row, fault in [*ROWS.items(), *((row, "sequences drawn at random") for row in by_row if row not in ROWS)]:
        cells = [verdict([line for line in by_row[row] if NAMES[line["where"]] == where]) for where in NAMES.values()]
        yield f"| {row} | {fault} | {' | '.join(cells)} | {seen(by_row[row])} |"


def verdict(lines: list[Line]) -> str:
    """`3 passed, 12 s`, or what failed."""
    failed = [line["test"] for line in lines if line["outcome"] == "failed"]
    if failed:
        return f"**failed**: {', '.join(failed)}"
    ran = [line for line in lines if line["outcome"] == "passed"]
    return f"{len(ran)} passed, {sum(line['seconds'] for line in ran):.0f} s" if ran else "not tried"


def seen(lines: list[Line]) -> str:
    """What one test of the row has noted, and how many more have noted theirs."""
    noted = [line["seen"] for line in lines if line["seen"] and NAMES[line["where"]] == SERVICES]
    return noted[0].replace("|", "/")[:160] if noted else ""


if __name__ == "__main__":
    sys.exit(main())
