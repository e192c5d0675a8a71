"""B3, B4: what one film of 1 GiB costs on its way from the provider's host to an S3 store, in memory and in time.

A, the product's way, in a fresh process for each round: the guarded fetcher, the spooled file, its facts with the sum,
the store in parts, the asset in a database. B, the bare way from the same host to the same store:
`boto3.upload_fileobj` from the open answer. B is measured twice in each round; where the two differ by more than a
twentieth, the run says nothing.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.place import Place
from benchmarks.processes import CLIENT_CORES, ROOT, SERVER_CORES, free_port, process, surroundings, wait_for
from benchmarks.rows import Row, row

MIB = 1024**2
FULL_MIB, SMALL_MIB = 1024, 128
ROUNDS = 9
MOST_MIB = 40.0
MOST_GROWTH = 1.15
LEAST_RATIO = 0.90


def measure(place: Place) -> Iterator[Row]:
    """The rows of B3 and B4; a film is the same to every database, so on SQLite only."""
    if place.where == "sqlite":
        mib, rounds = (SMALL_MIB, 2) if place.quick else (FULL_MIB, ROUNDS)
        yield from rows_of(steps(mib, rounds), mib)


def steps(mib: int, rounds: int) -> dict[str, list[dict[str, float]]]:
    """What each way has found out: `small` and `ours` of the product, `bare` before and `again` after it."""
    from gallery.tests.s3server import s3_server

    with tempfile.TemporaryDirectory(prefix="palette-storing-") as name, s3_server() as store:
        folder = Path(name)
        (folder / "data").mkdir()
        for size in {mib, SMALL_MIB}:
            make_film(folder / f"{size}.mp4", size * MIB)
        environment = os.environ | store.variables
        environment |= {"DATA_DIR": str(folder / "data"), "DATABASE_URL": "", "SECRET_KEY": "only for a benchmark"}
        with serving(folder) as host:
            environment |= {"REPLICATE_BASE_URL": host, "REPLICATE_API_TOKEN": "r8_benchmark"}
            manage = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
            subprocess.run(manage, cwd=ROOT, env=environment, check=True)
            way = partial(run_step, environment, f"{host}/{mib}.mp4")
            small = partial(run_step, environment, f"{host}/{SMALL_MIB}.mp4", "ours")
            way("bare")  # warm
            found: dict[str, list[dict[str, float]]] = {"bare": [], "ours": [], "again": [], "small": []}
            for _ in range(rounds):
                for kind, one in (("bare", "bare"), ("ours", "ours"), ("again", "bare")):
                    found[kind].append(way(one))
                found["small"].append(small())
            return found


def rows_of(found: dict[str, list[dict[str, float]]], mib: int) -> Iterator[Row]:
    """Memory, how it grows with the film, and speed."""

    def each(kind: str, what: str) -> list[float]:
        return [one[what] for one in found[kind]]

    ratios = [
        (first["seconds"] + last["seconds"]) / 2 / own["seconds"]
        for first, own, last in zip(found["bare"], found["ours"], found["again"], strict=True)
    ]
    growth = [large / small for large, small in zip(each("ours", "mib"), each("small", "mib"), strict=True)]
    same = statistics.median(a / b for a, b in zip(each("bare", "seconds"), each("again", "seconds"), strict=True))
    bare = ("boto3.upload_fileobj", statistics.median(each("bare", "mib")))
    yield row(
        "B3", f"memory that {mib} MiB add", "sqlite", each("ours", "mib"), unit="MiB", goal=MOST_MIB, reference=bare
    )
    yield row(
        "B3",
        f"memory that {mib} MiB add, to that of {SMALL_MIB}",
        "sqlite",
        growth,
        unit="ratio",
        goal=MOST_GROWTH,
        reference=(f"the product with {SMALL_MIB} MiB", statistics.median(each("small", "mib"))),
    )
    yield row(
        "B4",
        f"speed of storing {mib} MiB, of upload_fileobj's",
        "sqlite",
        ratios,
        unit="ratio",
        goal=LEAST_RATIO,
        better="higher",
        reference=("boto3.upload_fileobj, MiB/s", mib / statistics.median(each("bare", "seconds"))),
        same=same,
    )


def run_step(environment: dict[str, str], url: str, name: str) -> dict[str, float]:
    """One way, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.storing", name, url]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORES),
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def ours(url: str) -> dict[str, float]:
    """A prediction that has succeeded, its film brought home by the store lane."""
    set_up()
    from gallery import storage
    from gallery.models import Asset
    from generation.tests.storing import STORE_LANE, make_waiting
    from generation.work.loop import run_once

    make_waiting(url)
    with watched() as found:
        run_once(STORE_LANE)
    asset = Asset.objects.latest("created_at")
    if storage.size_of(asset.storage_key) != asset.size_bytes:
        raise RuntimeError("it is not whole")
    storage.delete(asset.storage_key)
    return found


def bare(url: str) -> dict[str, float]:
    """The answer's body, handed to boto3."""
    set_up()
    import requests
    from django.conf import settings

    from gallery import storage

    client = storage._client()
    with watched() as found, requests.get(url, stream=True, timeout=60) as answer:
        body: Any = answer.raw
        client.upload_fileobj(body, settings.S3_BUCKET, "bare")
    client.delete_object(Bucket=settings.S3_BUCKET, Key="bare")
    return found


def set_up() -> None:
    """What a worker has done long before the film comes: everything is loaded, the store has been spoken to."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")
    django.setup()
    from gallery import storage

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
        file.flush()
        storage.put(path=Path(file.name), key="warm", content_type="video/mp4")
    storage.delete("warm")


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Seconds, and by how many MiB the memory of this process has grown at most."""
    found: dict[str, float] = {}
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory("VmRSS"), time.perf_counter()
    yield found
    found |= {"seconds": time.perf_counter() - began, "mib": memory("VmHWM") - before}


def memory(name: str) -> float:
    """MiB that the kernel counts for this process."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) / 1024


def make_film(path: Path, size: int) -> None:
    """A real film of one second, and behind it a box of noise until it is as large as asked."""
    from gallery.tests import samples

    samples.film(path)
    left = size - path.stat().st_size
    noise = os.urandom(8 * MIB)
    with path.open("ab") as file:
        file.write(left.to_bytes(4) + b"free")
        left -= 8
        while left:
            left -= file.write(noise[:left])


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The provider's host, in a process of its own, so that its time and memory are not ours."""
    port = free_port()
    command = f"python -m http.server {port} --bind 127.0.0.1 --directory {shlex.quote(str(folder))}"
    with process(command, surroundings(), folder, cores=CLIENT_CORES):
        wait_for(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    print(json.dumps({"ours": ours, "bare": bare}[sys.argv[1]](sys.argv[2])))
