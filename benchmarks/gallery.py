"""B5: whether a page of the gallery costs the same wherever it lies and however large the gallery is.

A: one page over HTTP of an owner with a million assets: the first, and the 20,000th or the last, by each filter.
B: the first page by the same filter, as many frames on it, of an owner with a thousand, from another server; and for
the deep page the first one of the million. All three are asked for in turn, so that what slows the machine slows all.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx

from benchmarks.gallery_rows import DEEP, FILTERS, deep_cursor
from benchmarks.place import Place, database, new_database
from benchmarks.processes import ROOT, free_port, process, procfile, surroundings, wait_for
from benchmarks.rows import Pairs, Row, row

MILLION = 1_000_000
THOUSAND = 1_000
WARM_UP = 3
DEEP_GOAL = 1.10
LARGE_GOAL = 1.25
Ask = Callable[..., tuple[float, int]]
Key = tuple[str, str]


def measure(place: Place) -> Iterator[Row]:
    """Each filter's first page, the deep ones, and the stranger's ten among a million."""
    with ExitStack() as held:
        large = served(place, "large", MILLION // 100 if place.quick else MILLION, held)
        small = served(place, "small", THOUSAND, held)
        yield from pages(place, large, small, assets=MILLION // 100 if place.quick else MILLION)


def served(place: Place, name: str, assets: int, held: ExitStack) -> Ask:
    """A product with so many assets, as its Procfile starts it; returns how to ask it for a page."""
    folder = place.folder / f"gallery-{name}"
    folder.mkdir()
    port = free_port()
    environment = surroundings() | {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "warning",
    }
    if url := place.variables.get("DATABASE_URL"):
        environment["DATABASE_URL"] = new_database(url, f"bench_gallery_{name}")
        held.callback(drop, url, database(url, f"bench_gallery_{name}"))
    manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(manage, cwd=ROOT, env=environment, check=True)
    fill = [sys.executable, "-m", "benchmarks.gallery_rows", str(assets)]
    cookie = subprocess.run(fill, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
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


def drop(url: str, name: str) -> None:
    """The database that was made, when its server has ended."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def pages(place: Place, large: Ask, small: Ask, *, assets: int) -> Iterator[Row]:
    """The rows, when all filters were asked for by turns in another order each time."""
    asked: dict[Key, tuple[Callable[[], Any], Callable[[], Any], float]] = {}
    for name, query in FILTERS.items():
        asked[name, "page 1, of a million to of a thousand"] = partial(large, query), partial(small, query), LARGE_GOAL
        if name in DEEP:
            deep = f"{query}&cursor={deep_cursor(name, assets)}"
            asked[name, "a deep page to page 1"] = partial(large, deep), partial(large, query), DEEP_GOAL
    for name in ("plain", "half", "kind"):
        two = (partial(product, FILTERS[name], owner="stranger") for product in (large, small))
        asked[name, "of ten, among a million to among a thousand"] = next(two), next(two), LARGE_GOAL
    found: dict[Key, Pairs] = {key: Pairs() for key in asked}
    frames: dict[Key, tuple[int, int]] = {}
    for turn in range(WARM_UP + place.rounds(full=21, quick=5)):
        for key in random.Random(turn).sample(list(asked), len(asked)):
            ours, bare, _ = asked[key]
            (first, expected), (own, seen), (last, _) = bare(), ours(), bare()
            frames[key] = seen, expected
            if turn >= WARM_UP:
                found[key].bare.append(first)
                found[key].ours.append(own)
                found[key].again.append(last)
    for (name, what), pairs in found.items():
        yield of_one(place, f"{name}: {what}", pairs, frames[name, what], asked[name, what][2])


def of_one(place: Place, name: str, pairs: Pairs, frames: tuple[int, int], goal: float) -> Row:
    """One filter's row; void where the two pages show different numbers of frames."""
    different = f"{frames[0]} frames and {frames[1]}" if frames[0] != frames[1] else ""
    bare = sorted(pairs.bare)[len(pairs.bare) // 2] * 1000
    return row(
        "B5",
        name,
        place.where,
        pairs.ratios,
        unit="1",
        goal=goal,
        reference=("ms", bare),
        same=pairs.same,
        void=different,
    )
