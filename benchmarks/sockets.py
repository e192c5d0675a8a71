"""B7: a frame for one of a thousand open sockets.

A: an event of one user's, entered in the database, until its card arrives at that user's socket, while 999 others are
open. B: a bare ASGI application behind the same server, with as many sockets, that is told by HTTP to send one of them
a text of the same length. Both run side by side and are asked by turns.
"""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.place import Place
from benchmarks.processes import CLIENT_CORES, ROOT, free_port, process, surroundings, wait_for
from benchmarks.product import Person, Product, people, running_product
from benchmarks.rows import Row, interleaved, row
from benchmarks.socket_client import Sockets, opened

# What the product lets one user have in one process.
MOST_OF_ONE = 50
# Longer than the time within which the product shows several events as one frame.
PAUSE_SECONDS = 0.1
P99_GOAL, KIB_GOAL, OPENED_GOAL = 1.5, 40.0, 15.0
BARE = "python -m daphne --bind 127.0.0.1 --port {} --verbosity 0 benchmarks.bare_sockets:application"


def measure(place: Place) -> Iterator[Row]:
    """With 1,000 sockets, and with 5,000 when there is time; with 200 in a quick run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        for count in [200] if place.quick else [1000, 5000]:
            yield from of(place, count, blocks=3 if place.quick else 9, events=30 if place.quick else 100)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def of(place: Place, count: int, *, blocks: int, events: int) -> Iterator[Row]:
    """The rows for so many sockets."""
    with ExitStack() as held:
        product = held.enter_context(running_product(place, "sockets"))
        one, *others = people(product, 1 + -(-(count - 1) // MOST_OF_ONE))
        cookies = [one.session, *(others[number // MOST_OF_ONE].session for number in range(count - 1))]
        before = resident_kib(product)
        ours = held.enter_context(opened(f"{product.url}/ws/studio", cookies, cores=CLIENT_CORES))
        grown = (resident_kib(product) - before) / count
        ring = held.enter_context(ringing(product, one))
        length = len(ring(ours)[1])
        bare = held.enter_context(bare_sockets(place.folder, count))
        found = [
            interleaved(
                ours=lambda: ring(ours)[0],
                bare=lambda: bare(length),
                rounds=events,
                warm_up=5,
                pause=lambda: time.sleep(PAUSE_SECONDS),
            )
            for _ in range(blocks)
        ]
    goals = count <= 1000
    yield row(
        "B7",
        f"event to frame with {count} sockets, p99 to a bare application's",
        place.where,
        [p99(pairs.ours) / p99(pairs.bare) for pairs in found],
        unit="1",
        goal=P99_GOAL if goals else None,
        reference=("bare ASGI, p99 in ms", statistics.median(p99(pairs.bare) for pairs in found) * 1000),
        same=statistics.median(pairs.same for pairs in found),
        ours_ms=p99([seconds for pairs in found for seconds in pairs.ours]) * 1000,
        median_ms=statistics.median(seconds for pairs in found for seconds in pairs.ours) * 1000,
    )
    yield row(
        "B7",
        f"memory of each of {count} sockets",
        place.where,
        [grown],
        unit="KiB",
        goal=KIB_GOAL,
        reference=("", None),
    )
    yield row(
        "B7",
        f"{count} sockets opened, 50 at a time",
        place.where,
        [ours.seconds],
        unit="s",
        goal=OPENED_GOAL,
        reference=("", None),
        void=f"{ours.failed} were refused" if ours.failed else "",
    )


def p99(seconds: list[float]) -> float:
    """What one in a hundred passes."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1]


def resident_kib(product: Product) -> int:
    """Memory of the web process."""
    [pid] = product.pids("web")
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


@contextmanager
def ringing(product: Product, person: Person) -> Iterator[Callable[[Sockets], tuple[float, str]]]:
    """Enters an event of the person's one prediction; seconds until its frame, and the frame."""
    answer = httpx.post(
        f"{product.url}/api/generation/image", headers=person.bearer, json={"prompt": "a lake"}
    ).raise_for_status()
    command = [sys.executable, "-m", "benchmarks.ringing", answer.json()["predictionId"]]
    with subprocess.Popen(
        command, cwd=ROOT, env=dict(product.environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as bell:
        assert bell.stdin and bell.stdout
        # By itself once more when its thumbnail is made; nothing else happens to it.
        bell.stdout.readline()

        def ring(sockets: Sockets) -> tuple[float, str]:
            assert bell.stdin and bell.stdout
            sockets.drain()
            bell.stdin.write("\n")
            bell.stdin.flush()
            began = float(bell.stdout.readline())
            at, frame = sockets.frame()
            return at - began, frame

        yield ring
        bell.stdin.close()


@contextmanager
def bare_sockets(folder: Path, count: int) -> Iterator[Callable[[int], float]]:
    """The bare application with as many sockets open; seconds from a request for a text of a length to its arrival."""
    port = free_port()
    with process(BARE.format(port), surroundings(), folder):
        wait_for(f"http://127.0.0.1:{port}/")
        cookies = [f"sessionid={number}" for number in range(count)]
        with opened(f"http://127.0.0.1:{port}/", cookies, cores=CLIENT_CORES) as sockets, httpx.Client() as client:

            def send(length: int) -> float:
                sockets.drain()
                began = time.monotonic()
                client.post(f"http://127.0.0.1:{port}/", content=b"x" * length).raise_for_status()
                return sockets.frame()[0] - began

            yield send
