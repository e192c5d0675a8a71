"""B1: from the answer to the provider's webhook until the file is in the gallery and on an open page.

A: the 204 for a success with one file, until its asset is in the database and the card that shows it has come through
an open socket; fetched, recognised, hashed, put into an S3 server, entered. Thumbnails follow and are not in it.
B: a bare script, started long before, that GETs the same address and hands the open answer to `boto3.upload_fileobj`.
"""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from benchmarks import deliveries
from benchmarks.looking import Look, looking
from benchmarks.place import Place
from benchmarks.processes import ROOT, SERVER_CORES
from benchmarks.product import UNLIMITED, Product, running_product
from benchmarks.rows import Pairs, Row, interleaved, row
from benchmarks.storing import MIB, make_film, serving

LARGE_MIB = 100
MOST_RATIO = 1.15
MOST_MS, MOST_MS_P95 = 60.0, 150.0
# Until a page knows that its thumbnails are made.
PAUSE_SECONDS = 0.1
CHUNKS = 5


def measure(place: Place) -> Iterator[Row]:
    """Small pictures, then large films."""
    with ExitStack() as held:
        folder = place.folder / "arriving"
        folder.mkdir()
        Image.frombytes("RGB", (591, 591), os.urandom(591 * 591 * 3)).save(folder / "small.png")
        make_film(folder / "large.mp4", LARGE_MIB * MIB)
        host = held.enter_context(serving(folder))
        variables = held.enter_context(place.store()) | UNLIMITED
        variables["REPLICATE_OUTPUT_HOSTS"] = host.partition("://")[2]
        product = held.enter_context(running_product(place, "arriving", variables))
        arrival = held.enter_context(arriving(product))
        script = held.enter_context(bare(product))
        small = pairs(arrival, script, f"{host}/small.png", "image", place.rounds(full=200, quick=9), warm_up=3)
        yield from small_rows(place, small)
        large = pairs(arrival, script, f"{host}/large.mp4", "video", place.rounds(full=21, quick=2), warm_up=1)
    yield row(
        "B1",
        f"{LARGE_MIB} MiB from the 204 to gallery and page, to the bare way",
        place.where,
        large.ratios,
        unit="ratio",
        goal=MOST_RATIO,
        reference=("GET and upload_fileobj, s", statistics.median(large.bare)),
        same=large.same,
        ours=round(statistics.median(large.ours), 3),
    )


def small_rows(place: Place, found: Pairs) -> Iterator[Row]:
    """The median, and what only one in twenty exceeds, of some parts of the run so that its spread is known."""
    added = [seconds * 1000 for seconds in found.added]
    reference = ("GET and upload_fileobj, ms", statistics.median(found.bare) * 1000)
    name = "1 MiB from the 204 to gallery and page, added to the bare way"
    yield row("B1", name, place.where, added, unit="ms", goal=MOST_MS, reference=reference, same=found.same)
    size = max(1, len(added) // CHUNKS)
    parts = [sorted(added[start : start + size]) for start in range(0, size * CHUNKS, size)]
    worst = [part[min(len(part) - 1, int(len(part) * 0.95))] for part in parts]
    yield row(
        "B1", f"{name}, p95", place.where, worst, unit="ms", goal=MOST_MS_P95, reference=reference, same=found.same
    )


def pairs(
    arrival: Callable[[str, str], float], script: Callable[[str], float], url: str, kind: str, rounds: int, warm_up: int
) -> Pairs:
    """By turns."""
    return interleaved(
        ours=partial(arrival, url, kind),
        bare=partial(script, url),
        rounds=rounds,
        warm_up=warm_up,
    )


class Page:
    """An open socket of a signed-in page, read by a thread: when each prediction's finished card came."""

    def __init__(self, product: Product) -> None:
        address = product.url.replace("http", "ws", 1)
        self.socket = connect(
            f"{address}/ws/studio",
            origin=Origin(product.url),
            additional_headers=product.person.cookie,
            compression=None,
            max_size=None,
        )
        self.socket.send('{"since": 0}')
        self.came: dict[str, float] = {}
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        """Until it is closed."""
        try:
            for text in self.socket:
                now = time.perf_counter()
                if isinstance(text, str) and 'data-state="succeeded"' in text:
                    self.came.setdefault(text.partition('id="')[2].partition('"')[0], now)
        except ConnectionClosed:
            pass


@contextmanager
def arriving(product: Product) -> Iterator[Callable[[str, str], float]]:
    """Seconds from the 204 until both are there, of a file at an address that a model of a kind has made."""
    secret = deliveries.let_hang(product)
    with httpx.Client(timeout=60) as client, looking(product) as look:
        page = Page(product)

        def once(url: str, kind: str) -> float:
            sent = deliveries.send(product, client, look, kind=kind)
            time.sleep(0.2)  # its own frames come first
            body = deliveries.ended(sent.provider_id, url)
            answer = client.post(product.url + sent.address, content=body, headers=deliveries.signed(secret, body))
            began = time.perf_counter()
            assert answer.status_code == 204, answer.status_code
            entered: float = deliveries.wait_until(partial(in_gallery, look, sent.id), f"{url} is in the gallery")
            came = partial(page.came.get, f"prediction-{sent.number}")
            shown: float = deliveries.wait_until(came, f"{url} is on the page")
            # It is not part of what is measured, and must not be in the way of what is measured next.
            deliveries.wait_until(partial(has_thumbnails, look, sent.id), f"{url} has its thumbnails")
            time.sleep(PAUSE_SECONDS)
            return max(entered, shown) - began

        yield once
        page.socket.close()


def in_gallery(look: Look, prediction: UUID) -> float | None:
    """Now, once the asset is there and nothing of the prediction is left to do."""
    done = "SELECT 1 FROM gallery_asset JOIN generation_prediction ON generation_prediction.id = prediction_id"
    there = look(f"{done} WHERE prediction_id = ? AND status = 'succeeded'", prediction)
    return time.perf_counter() if there else None


def has_thumbnails(look: Look, prediction: UUID) -> bool:
    """Or is known to get none."""
    return bool(look("SELECT 1 FROM gallery_asset WHERE prediction_id = ? AND due_at IS NULL", prediction))


@contextmanager
def bare(product: Product) -> Iterator[Callable[[str], float]]:
    """Seconds that the bare script says an address took it."""
    script = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.arriving"],
        cwd=ROOT,
        env=dict(product.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORES),
    )
    assert script.stdin and script.stdout
    asks, answers = script.stdin, script.stdout

    def once(url: str) -> float:
        asks.write(url + "\n")
        asks.flush()
        return float(answers.readline())

    try:
        yield once
    finally:
        asks.close()
        script.wait(30)


def serve_bare() -> None:
    """The bare script: an address on each line, the seconds that it took for each."""
    import boto3
    import requests
    from botocore.config import Config

    named = os.environ
    client = boto3.client(
        "s3",
        endpoint_url=named["S3_ENDPOINT_URL"],
        aws_access_key_id=named["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=named["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    for line in sys.stdin:
        began = time.perf_counter()
        with requests.get(line.strip(), stream=True, timeout=60) as answer:
            body: Any = answer.raw
            client.upload_fileobj(body, named["S3_BUCKET"], f"bare/{Path(line.strip()).name}")
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    serve_bare()
