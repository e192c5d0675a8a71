"""B5: whether a page of the gallery costs the same wherever it lies and however large the gallery is.

A: one page over HTTP of an owner with a million assets: the first, and the 20,000th or the last, by each filter.
B: the first page by the same filter, as many frames on it, of an owner with a thousand, from another server; and for
the deep page the first one of the million. All three are asked for in turn, so that what slows the machine slows all.
`python -m benchmarks.gallery` runs on SQLite, and on PostgreSQL where `DATABASE_URL` names one.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.gallery_rows import DEEP, FILTERS, deep_cursor
from benchmarks.processes import ROOT, free_port, process, procfile, wait_for
from palette.environment import VARIABLES

RESULTS = ROOT / "var" / "bench-gallery.json"
MILLION = 1_000_000
THOUSAND = 1_000
ROUNDS = 21
WARM_UP = 3
DEEP_GOAL = 1.10
LARGE_GOAL = 1.25
COLUMNS = ("where", "filter", "what", "frames", "ms", "reference ms", "value", "iqr", "goal", "verdict")


def main() -> int:
    """1 when a goal is missed by more than twice the spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=int, default=MILLION)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    places = ["sqlite", *(["postgresql"] if os.environ.get("DATABASE_URL", "").startswith("postgres") else [])]
    rows: list[dict[str, Any]] = []
    for where in [given.only] if given.only else places:
        with tempfile.TemporaryDirectory(prefix="palette-bench-gallery-") as folder, ExitStack() as held:
            large = served(where, Path(folder) / "large", given.assets, held)
            small = served(where, Path(folder) / "small", THOUSAND, held)
            rows += measure(where, large, small, assets=given.assets, rounds=given.rounds)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    show(rows)
    return int(any(row["verdict"] == "missed" for row in rows))


def served(where: str, folder: Path, assets: int, held: ExitStack) -> Callable[[str], tuple[float, int]]:
    """A product with so many assets, as its Procfile starts it; returns how to ask it for a page."""
    folder.mkdir()
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "warning",
        "PYTHONHASHSEED": "0",
    }
    if where == "postgresql":
        server = os.environ["DATABASE_URL"].rpartition("/")[0]
        environment["DATABASE_URL"] = f"{server}/palette_bench_gallery_{folder.name}"
        new_database(os.environ["DATABASE_URL"], f"palette_bench_gallery_{folder.name}", held)
    began = time.monotonic()
    manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(manage, cwd=ROOT, env=environment, check=True)
    fill = [sys.executable, "-m", "benchmarks.gallery_rows", str(assets)]
    cookie = subprocess.run(fill, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(f"{where}: {assets} assets in {time.monotonic() - began:.0f} s", flush=True)
    held.enter_context(process(procfile()["web"], environment, folder))
    wait_for(f"http://127.0.0.1:{port}/healthz")
    client = held.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120))
    cookies: Mapping[str, str] = json.loads(cookie)

    def ask(query: str, *, owner: str = "owner") -> tuple[float, int]:
        began = time.perf_counter()
        answer = client.get(f"/gallery/?{query}", headers={"Cookie": f"sessionid={cookies[owner]}"})
        seconds = time.perf_counter() - began
        assert answer.status_code == 200, answer.status_code
        return seconds, answer.text.count('<li class="frame')

    return ask


def new_database(url: str, name: str, held: ExitStack) -> None:
    """An empty database, dropped afterwards."""
    import psycopg

    connection = held.enter_context(psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True))
    connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
    connection.execute(f'CREATE DATABASE "{name}"'.encode())
    held.callback(connection.execute, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def measure(where: str, large: Any, small: Any, *, assets: int, rounds: int) -> list[dict[str, Any]]:
    """The rows of the table: each filter's first page, the deep ones, and the stranger's ten among a million."""
    pairs: dict[tuple[str, str], tuple[Callable[[], Any], Callable[[], Any], float]] = {}
    for name, query in FILTERS.items():
        pairs[name, "page 1, 1M / 1k"] = partial(large, query), partial(small, query), LARGE_GOAL
        if name in DEEP:
            deep = f"{query}&cursor={deep_cursor(name, assets)}"
            pairs[name, "deep / page 1"] = partial(large, deep), partial(large, query), DEEP_GOAL
    for name in ("plain", "half", "kind"):
        asks = (partial(product, FILTERS[name], owner="stranger") for product in (large, small))
        pairs[name, "owner of ten"] = next(asks), next(asks), LARGE_GOAL
    times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in pairs}
    frames: dict[tuple[str, str], tuple[int, int]] = {}
    for turn in range(WARM_UP + rounds):
        for key in random.Random(turn).sample(list(pairs), len(pairs)):
            ours, reference, _ = pairs[key]
            (first, found), (second, expected) = ours(), reference()
            frames[key] = found, expected
            if turn >= WARM_UP:
                times[key].append((first, second))
    return [row(where, key, times[key], frames[key], pairs[key][2]) for key in pairs]


def row(where: str, key: tuple[str, str], times: Any, frames: tuple[int, int], goal: float) -> dict[str, Any]:
    """Median of the ratios of each round, and their spread."""
    quartiles = statistics.quantiles([first / second for first, second in times], n=4)
    value, iqr = quartiles[1], quartiles[2] - quartiles[0]
    verdict = "void" if frames[0] != frames[1] else "met" if value <= goal else "within" if value - iqr <= goal else ""
    return {
        "where": where,
        "filter": key[0],
        "what": key[1],
        "frames": "/".join(str(number) for number in frames),
        "ms": round(statistics.median(first for first, _ in times) * 1000, 1),
        "reference ms": round(statistics.median(second for _, second in times) * 1000, 1),
        "value": round(value, 3),
        "iqr": round(iqr, 3),
        "goal": goal,
        "verdict": verdict or "missed",
    }


def show(rows: list[dict[str, Any]]) -> None:
    """A table."""
    cells = [list(COLUMNS), *([str(found[column]) for column in COLUMNS] for found in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
