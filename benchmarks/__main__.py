"""`make bench`: every benchmark on SQLite, and on PostgreSQL with Redis and S3 where they can be reached.

`python -m benchmarks B1 B9` runs some of them, `--only services` at one place; `--quick` with few rounds, on SQLite
unless told otherwise.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import psycopg

from benchmarks.place import Place, places
from benchmarks.processes import CLIENT_CORES, ROOT, SERVER_CORES
from benchmarks.rows import Row, show, verdict

RESULTS = ROOT / "var" / "bench.json"
# Each module has `measure(place)`, which yields rows. Those of the second kind take minutes: never in a quick run.
MODULES = {
    "arriving": ("B1",),
    "webhooks": ("B2",),
    "statements": ("B6",),
    "sockets": ("B7",),
    "pages": ("B8",),
    "latency": ("B9",),
    "sustained": ("B9",),
    "contention": ("B10",),
}
LONG = {"recovery": ("B10",), "storing": ("B3", "B4"), "gallery": ("B5",), "lighthouse": ("B8",)}


def main() -> int:
    """1 when a goal is missed by a run that counts."""
    known = [one for ids in (MODULES | LONG).values() for one in ids]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"of {', '.join(known)}; all without one")
    parser.add_argument("--quick", action="store_true", help="few rounds: says whether it runs, hardly how fast")
    parser.add_argument("--only", choices=["sqlite", "services"], default="")
    given = parser.parse_args()
    if unknown := set(given.ids) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    os.sched_setaffinity(0, CLIENT_CORES)
    print(machine(), flush=True)
    rows: list[Row] = []
    with places(quick=given.quick, only=given.only or ("sqlite" if given.quick else "")) as found:
        for place in found:
            print(f"{place.where}: {durability(place)}", flush=True)
            for row in measured(place, given.ids):
                rows.append(row)
                print(f"  {row['id']}  {row['name']}: {row['value']} {row['unit']}, {verdict(row)}", flush=True)
                keep(row)
    print()
    show(rows)
    return int(any(verdict(row) == "missed" for row in rows))


def measured(place: Place, ids: Sequence[str]) -> Iterator[Row]:
    """The rows of every module that has one of `ids`, or of all that this run has time for."""
    wanted = MODULES | ({} if place.quick and not ids else LONG)
    for name, own in wanted.items():
        if not ids or set(ids) & set(own):
            yield from import_module(f"benchmarks.{name}").measure(place)


def keep(row: Row) -> None:
    """In the file at once, in place of what an earlier run said."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    names = ("id", "where", "name")
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    rows = [known for known in rows if [known[name] for name in names] != [row[name] for name in names]]
    RESULTS.write_text(json.dumps([*rows, row], indent=2) + "\n")


def machine() -> str:
    """Processor, cores, kernel, Python, and who has which cores."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].partition(":")[2].strip() if models else platform.processor()
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    cores = f"product on cores {SERVER_CORES}, all else on {CLIENT_CORES}"
    return f"{len(models)} × {processor}, {system}; {cores}, load {os.getloadavg()[0]:.1f}"


def durability(place: Place) -> str:
    """What a commit waits for."""
    url = place.variables.get("DATABASE_URL")
    if not url:
        return "journal_mode=WAL, synchronous=NORMAL"
    with psycopg.connect(url) as connection:
        said = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in ("fsync", "synchronous_commit")]
    return "fsync={}, synchronous_commit={}".format(*(answer[0] if answer else "?" for answer in said))


if __name__ == "__main__":
    sys.exit(main())
