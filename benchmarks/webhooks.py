"""B2: how many of the provider's deliveries the webhook's door takes in a second, on one core.

A: each is verified, kept under its unique id, found to be of an unknown prediction, answered 204; and the same delivery
again and again. B: a bare Django view on the same server that only verifies. The servers are gunicorn, as
docs/operations.md starts it, and Daphne, as the Procfile does. The worker, which looks up at every commit, runs on the
cores of the client.
"""

import itertools
import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from benchmarks.deliveries import ended
from benchmarks.knocking import CLIENT, Knocked, knock, write_headers
from benchmarks.place import Place
from benchmarks.processes import CLIENT_CORES, SERVER_CORES, free_port, process, procfile, surroundings, wait_for
from benchmarks.rows import MOST_BUSY, Pairs, Row, interleaved, row

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # the documented example key, nobody's
LEAST_RATIO = {"sqlite": 0.55, "services": 0.50}
LEAST_DUPLICATES = 0.80
LEAST_RATE = 1000.0
# More than any of the servers can answer.
MOST_RATE = 8000
WSGI = "python -m gunicorn --bind 127.0.0.1:{port} --workers 1 --threads 4 --timeout 620"
ASGI = "python -m daphne --bind 127.0.0.1 --port {port} --http-timeout 600 --verbosity 0"
SERVERS = {
    "gunicorn": (f"{WSGI} palette.wsgi", f"{WSGI} benchmarks.bare:wsgi"),
    "Daphne": (procfile()["web"], f"{ASGI} benchmarks.bare:asgi"),
}


class Door:
    """Deliveries at one server, counted."""

    def __init__(self, url: str, folder: Path, seconds: float) -> None:
        self.url, self.folder, self.seconds = url, folder, seconds
        self.found: list[Knocked] = []

    def rate(self, *, again: bool) -> float:
        """Answers a second to deliveries that are all new, or (`again`) all the same one."""
        name = uuid4().hex
        ids = itertools.repeat(f"msg_{name}") if again else (f"msg_{name}{number:08d}" for number in itertools.count())
        headers, body = self.folder / "headers", self.folder / "body"
        body.write_bytes(ended(f"p-{name}", "https://replicate.delivery/a/out.jpg"))
        count = int(MOST_RATE * (self.seconds + 1))
        write_headers(headers, secret=SECRET, body=body.read_bytes(), ids=ids, count=count)
        self.found.append(knock(self.url, headers=headers, body=body, seconds=self.seconds))
        return self.found[-1].rate


def measure(place: Place) -> Iterator[Row]:
    """The rows of each server."""
    for name, (ours, bare) in SERVERS.items():
        if name == "gunicorn" and find_spec("gunicorn") is None:
            continue
        folder, variables = place.new(f"webhooks-{name}")
        environment = surroundings() | variables | {"REPLICATE_WEBHOOK_SECRET": SECRET, "BENCH_SECRET": SECRET}
        seconds = place.rounds(full=5, quick=1)
        with (
            process(procfile()["worker"], environment, folder, cores=CLIENT_CORES),
            serving(ours, environment, folder) as url,
            serving(bare, environment, folder) as bare_url,
        ):
            address = f"/api/webhooks/replicate?prediction={uuid4()}&token={uuid4().hex}"
            doors = Door(url + address, folder, seconds), Door(bare_url + address, folder, seconds)
            for again in (False, True):
                yield from rows(place, name, again, *doors)


def rows(place: Place, server: str, again: bool, ours: Door, bare: Door) -> Iterator[Row]:
    """To the bare view, and in figures."""
    ours.found.clear()
    bare.found.clear()
    pairs: Pairs = interleaved(
        ours=partial(ours.rate, again=again),
        bare=partial(bare.rate, again=again),
        rounds=place.rounds(full=9, quick=2),
    )
    found = ours.found + bare.found
    errors, busy = sum(one.errors for one in found), statistics.median(one.busy for one in found)
    void = f"{errors} errors" if errors else "the client is at its limit" if busy > MOST_BUSY else ""
    what = f"{'the same delivery again' if again else 'deliveries'}, {server}"
    facts = {"client": CLIENT, "client_busy": round(busy, 2)}
    reference = ("a bare view that verifies, /s", statistics.median(pairs.bare))
    yield row(
        "B2",
        f"{what}: to a bare view",
        place.where,
        pairs.ratios,
        unit="ratio",
        goal=LEAST_DUPLICATES if again else LEAST_RATIO[place.where],
        better="higher",
        reference=reference,
        same=pairs.same,
        void=void,
        **facts,
    )
    yield row(
        "B2",
        f"{what}: a second, one core",
        place.where,
        pairs.ours,
        unit="/s",
        goal=LEAST_RATE if server == "gunicorn" and not again else None,
        better="higher",
        reference=reference,
        same=pairs.same,
        void=void,
        **facts,
    )


@contextmanager
def serving(command: str, environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """A server on one core; its address."""
    port = free_port()
    own = dict(environment) | {"HOST": "127.0.0.1", "PORT": str(port)}
    with process(command.replace("{port}", str(port)), own, folder, cores=SERVER_CORES[:1]):
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
