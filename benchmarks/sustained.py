"""B9: how many predictions a second go through, for minutes, and what one costs in processor time and statements.

Eight users ask, sixty are on their way at most, so that no queue grows; one counts when its file is in the gallery and
its thumbnails are made. The sandbox at `instant` speed is the provider, on the same machine; everybody has all cores.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from benchmarks.deliveries import wait_until
from benchmarks.looking import Look, looking
from benchmarks.place import Place
from benchmarks.processes import CORES, ROOT, Others, cpu_seconds, family, resident_mib
from benchmarks.product import UNLIMITED, Person, Product, people, running_product
from benchmarks.rows import Row, row

USERS = 8
MOST_ON_THE_WAY = 60
LEAST_RATE = 20.0
MOST_CPU_MS = 40.0
MOST_STATEMENTS = 45.0
LOOK_SECONDS = 0.1
STATEMENTS_SECONDS = 5
# Beside the product, for the statements only.
COUNTING = ROOT / "benchmarks" / "counting"
UNFINISHED = (
    "SELECT (SELECT count(*) FROM generation_prediction WHERE status NOT IN ('succeeded', 'lost', 'failed'))"
    " + (SELECT count(*) FROM gallery_asset WHERE due_at IS NOT NULL)"
)
WHOLE = "SELECT count(*) FROM gallery_asset WHERE due_at IS NULL"
LIMIT = ("Replicate's own limit of creates, /s", 10.0)


@dataclass
class Stream:
    """Requests that keep coming while at most `MOST_ON_THE_WAY` are on their way; `whole` are through."""

    product: Product
    people: list[Person]
    asked: int = 0
    whole: int = 0
    over: bool = False
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, person: Person) -> None:
        """One user's part, in a thread."""
        with httpx.Client(timeout=60, headers=person.bearer) as client:
            while not self.over:
                with self.lock:
                    may = self.asked - self.whole < MOST_ON_THE_WAY
                    self.asked += may
                if not may:
                    time.sleep(LOOK_SECONDS / 4)
                    continue
                prompt = {"prompt": f"a lighthouse in the rain, {uuid4()}"}
                answer = client.post(f"{self.product.url}/api/generation/image", json=prompt)
                if not answer.is_success:
                    self.errors.append(f"{answer.status_code} {answer.text[:200]}")
                    return


@contextmanager
def streaming(product: Product, look: Look) -> Iterator[Stream]:
    """From the first request until the last is through."""
    stream = Stream(product, people(product, USERS))
    threads = [threading.Thread(target=stream.ask, args=(person,), daemon=True) for person in stream.people]

    def count() -> None:
        while not stream.over:
            stream.whole = look(WHOLE)[0]
            time.sleep(LOOK_SECONDS)

    for thread in threads:
        thread.start()
    counting = threading.Thread(target=count, daemon=True)
    counting.start()
    try:
        yield stream
    finally:
        stream.over = True
        for thread in (*threads, counting):
            thread.join(60)


def measure(place: Place) -> Iterator[Row]:
    """Rate and processor time, then statements in a run of their own."""
    window, windows = place.rounds(full=10, quick=5), place.rounds(full=30, quick=3)
    with running_product(place, "sustained", UNLIMITED, cores=CORES) as product:
        yield from rates(place, product, window, windows)
    count = place.folder / "statements"
    counted = UNLIMITED | {"PYTHONPATH": str(COUNTING), "BENCH_STATEMENTS": str(count)}
    with running_product(place, "statements", counted, cores=CORES) as product:
        yield statements(place, product, count, place.rounds(full=3, quick=1))


def rates(place: Place, product: Product, window: int, windows: int) -> Iterator[Row]:
    """Of each window, after a first that is not counted."""
    found: list[float] = []
    costs: list[float] = []
    with looking(product, threads=True) as look, streaming(product, look) as stream:
        time.sleep(window)
        programs, others = product.pids("web", "worker"), Others()
        before = sum(resident_mib(pid) for pid in programs)
        for _ in range(windows):
            whole, used, began = stream.whole, cpu_seconds(*family(*programs)), time.perf_counter()
            time.sleep(window)
            done = max(1, stream.whole - whole)
            found.append(done / (time.perf_counter() - began))
            costs.append((cpu_seconds(*family(*programs)) - used) / done * 1000)
        grown = sum(resident_mib(pid) for pid in programs) - before
        errors, disturbed = stream.errors, others.disturbed()
    void = errors[0] if errors else disturbed
    yield row(
        "B9",
        f"predictions a second for {window * windows} s",
        place.where,
        found,
        unit="/s",
        goal=LEAST_RATE,
        better="higher",
        reference=LIMIT,
        void=void,
        grown_mib=round(grown, 1),
    )
    yield row(
        "B9",
        "processor time of web and worker for one",
        place.where,
        costs,
        unit="ms",
        goal=MOST_CPU_MS,
        reference=("none", None),
        void=void,
    )


def statements(place: Place, product: Product, count: Path, rounds: int) -> Row:
    """All that web and worker send to the database from the first request to the last thumbnail, looks for work too."""
    found: list[float] = []
    with looking(product, threads=True) as look:
        errors: list[str] = []
        for _ in range(rounds):
            sent, before = count.stat().st_size, look(WHOLE)[0]
            with streaming(product, look) as stream:
                time.sleep(STATEMENTS_SECONDS)
            wait_until(lambda: look(UNFINISHED)[0] == 0, "all of them are through", seconds=600)
            found.append((count.stat().st_size - sent) / max(1, look(WHOLE)[0] - before))
            errors += stream.errors
    return row(
        "B9",
        "statements for one",
        place.where,
        found,
        unit="statements",
        goal=MOST_STATEMENTS,
        reference=("none", None),
        void=errors[0] if errors else "",
    )
