"""B10: a store that was away for minutes while predictions ended, and comes back.

A: after the store (an S3 server behind a proxy that refuses connections) has healed: when the first waiting file is in
the gallery, how fast the others follow, whether one is lost, and how long a page takes meanwhile. B: the same product
before, while predictions go through one after the other, and while nothing goes on.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from benchmarks.deliveries import wait_until
from benchmarks.looking import Look, looking
from benchmarks.place import Place
from benchmarks.processes import CORES, Others
from benchmarks.product import UNLIMITED, Product, running_product
from benchmarks.rows import Row, row
from benchmarks.sustained import UNFINISHED, streaming
from generation.tests.torture.tcpfault import TcpFault, Toxic

LEAST_DRAIN = 0.9
MOST_FIRST_SECONDS = 5.0
MOST_PAGE = 1.5
WINDOW_SECONDS = 5.0
GIVE_UP_SECONDS = 600.0
PARTS = 5
STORED = "SELECT count(*) FROM gallery_asset"
STORING = "SELECT count(*) FROM generation_prediction WHERE status = 'storing'"
GONE = "SELECT count(*) FROM generation_prediction WHERE status IN ('lost', 'failed')"


@dataclass
class Visitor:
    """Somebody who looks at the gallery again and again; the seconds of each look."""

    product: Product
    seconds: list[float] = field(default_factory=list)

    @contextmanager
    def looking(self) -> Iterator[list[float]]:
        """Meanwhile, ten times a second; what was noted before is forgotten."""
        self.seconds, over = [], threading.Event()

        def look() -> None:
            with httpx.Client(timeout=60, headers=self.product.person.cookie) as client:
                while not over.wait(0.1):
                    began = time.perf_counter()
                    client.get(f"{self.product.url}/gallery/").raise_for_status()
                    self.seconds.append(time.perf_counter() - began)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield self.seconds
        finally:
            over.set()
            thread.join(60)


def measure(place: Place) -> Iterator[Row]:
    """Steady, down, healed."""
    backlog, down, steady = (place.rounds(full=full, quick=quick) for full, quick in ((1000, 40), (300, 10), (60, 10)))
    with place.store() as variables, TcpFault({**place.variables, **variables}["S3_ENDPOINT_URL"]) as store:
        own = UNLIMITED | variables | {"S3_ENDPOINT_URL": store.url}
        with running_product(place, "recovery", own, cores=CORES) as product, looking(product, threads=True) as look:
            others = Others()
            before = rate(product, look, steady)
            quiet(look)
            visitor = Visitor(product)
            with visitor.looking() as idle:
                time.sleep(steady / 2)
            stored = look(STORED)[0]
            store.poison(Toxic("refuse"))
            began = time.monotonic()
            ask(product, backlog)
            wait_until(lambda: look(STORING)[0] == backlog, "all of them wait for the store", seconds=GIVE_UP_SECONDS)
            time.sleep(max(0.0, down - (time.monotonic() - began)))
            with visitor.looking() as busy:
                store.heal()
                came = drain(look, stored, stored + backlog)
            quiet(look)
            void = others.disturbed()
            lost = look(GONE)[0] + backlog - (look(STORED)[0] - stored)
    for found in rows(place, came, before, idle, busy, lost=lost, backlog=backlog, down=down):
        yield found if found["unit"] == "files" else found | {"void": bool(void), "why": void}


def rows(
    place: Place,
    came: list[float],
    before: float,
    idle: list[float],
    busy: list[float],
    *,
    lost: int,
    backlog: int,
    down: int,
) -> Iterator[Row]:
    """`came` says for each file how long after the healing it was in the gallery."""
    after, where = f"{backlog} files after {down} s without a store", place.where
    yield row(
        "B10",
        f"{after}: rate, to the steady one",
        where,
        [each / before for each in rates(came)],
        unit="ratio",
        goal=LEAST_DRAIN,
        better="higher",
        reference=("files a second before, /s", before),
    )
    first = [came[0]]
    yield row("B10", f"{after}: the first", where, first, unit="s", goal=MOST_FIRST_SECONDS, reference=("none", None))
    yield row("B10", f"{after}: lost", where, [lost], unit="files", goal=0.0, reference=("none", None))
    quiet_p95 = p95(idle)
    size = max(1, len(busy) // PARTS)
    parts = [p95(busy[start : start + size]) / quiet_p95 for start in range(0, size * PARTS, size) if busy[start:]]
    yield row(
        "B10",
        "a page meanwhile, p95 to that of an idle product",
        where,
        parts,
        unit="ratio",
        goal=MOST_PAGE,
        reference=("the page while nothing goes on, p95, ms", quiet_p95 * 1000),
    )


def rates(came: list[float]) -> list[float]:
    """Files a second, from the first to the last, by windows; all of it where that is shorter than two."""
    first, last = came[0], came[-1]
    if last - first < 2 * WINDOW_SECONDS:
        return [(len(came) - 1) / max(last - first, 0.001)]
    found = []
    for number in range(int((last - first) / WINDOW_SECONDS)):
        start = first + number * WINDOW_SECONDS
        found.append(sum(start <= moment < start + WINDOW_SECONDS for moment in came) / WINDOW_SECONDS)
    return found


def p95(seconds: list[float]) -> float:
    """Of so many looks."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.95))]


def rate(product: Product, look: Look, seconds: int) -> float:
    """Files a second that reach the gallery while predictions keep coming."""
    with streaming(product, look) as stream:
        time.sleep(WINDOW_SECONDS)
        windows = []
        for _ in range(max(1, int(seconds / WINDOW_SECONDS))):
            whole, began = stream.whole, time.perf_counter()
            time.sleep(WINDOW_SECONDS)
            windows.append((stream.whole - whole) / (time.perf_counter() - began))
    return statistics.median(windows) or 0.001


def quiet(look: Look) -> None:
    """Until nothing is left to do, thumbnails included."""
    done = wait_until(lambda: look(UNFINISHED)[0] == 0, "all is done", seconds=GIVE_UP_SECONDS)
    assert done


def ask(product: Product, count: int) -> None:
    """So many predictions, which end at the provider at once."""
    with httpx.Client(timeout=60, headers=product.person.bearer) as client, ThreadPoolExecutor(4) as pool:

        def one(number: int) -> None:
            prompt = {"prompt": f"a lighthouse in the rain, {number} {uuid4()}"}
            client.post(f"{product.url}/api/generation/image", json=prompt).raise_for_status()

        list(pool.map(one, range(count)))


def drain(look: Look, stored: int, wanted: int) -> list[float]:
    """When each of the waiting files came, in seconds from now."""
    began, came = time.perf_counter(), list[float]()
    while stored + len(came) < wanted and (seconds := time.perf_counter() - began) < GIVE_UP_SECONDS:
        new = look(STORED)[0] - stored - len(came)
        came += [seconds] * new
        time.sleep(0.05)
    return came
