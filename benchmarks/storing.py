"""B3, B4: what one film of 1 GiB costs on its way from the provider's host to an S3 store, in memory and in time.

A, the product's way, in a fresh process for each round: the guarded fetcher, the spooled file, its facts with the sum,
the store in parts, the asset in a database. B, the bare way from the same host to the same store:
`boto3.upload_fileobj` from the open answer. B is measured twice in each round; where the two differ by more than a
twentieth, the run says nothing. `python -m benchmarks.storing [--mib N] [--rounds N]`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.__main__ import RESULTS, show, verdict
from benchmarks.product import ROOT, free_port, wait_for

MIB = 1024**2
FULL_MIB, SMALL_MIB = 1024, 128
ROUNDS = 9
MOST_MIB = 40.0
LEAST_RATIO = 0.90


def main() -> int:
    """1 when a goal is missed by a run that counts."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mib", type=int, default=FULL_MIB)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    asked.add_argument("--step", choices=["ours", "bare"], help=argparse.SUPPRESS)
    asked.add_argument("--url", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.step:
        print(json.dumps({"ours": ours, "bare": bare}[given.step](given.url)))
        return 0
    rows = measure(given.mib, given.rounds)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    kept = [row for row in json.loads(RESULTS.read_text()) if row["id"] not in {"B3", "B4"}] if RESULTS.exists() else []
    RESULTS.write_text(json.dumps(kept + rows, indent=2) + "\n")
    show(rows)
    return int(any(verdict(row) == "missed" for row in rows))


def measure(mib: int, rounds: int) -> list[dict[str, Any]]:
    """The rows of B3 and B4."""
    from gallery.tests.s3server import s3_server

    with tempfile.TemporaryDirectory(prefix="palette-storing-") as name, s3_server() as store:
        folder = Path(name)
        (folder / "data").mkdir()
        for size in {mib, SMALL_MIB}:
            make_film(folder / f"{size}.mp4", size * MIB)
        environment = os.environ | {
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": "",
            "SECRET_KEY": "only for a benchmark",
            "S3_ENDPOINT_URL": store.endpoint_url,
            "S3_BUCKET": store.bucket,
            "S3_ACCESS_KEY_ID": store.access_key,
            "S3_SECRET_ACCESS_KEY": store.secret_key,
        }
        with serving(folder) as host:
            environment |= {"REPLICATE_BASE_URL": host, "REPLICATE_API_TOKEN": "r8_benchmark"}
            manage = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
            subprocess.run(manage, cwd=ROOT, env=environment, check=True)
            step = partial(run_step, environment)
            small = step("ours", f"{host}/{SMALL_MIB}.mp4")
            return rows_of(lambda name: step(name, f"{host}/{mib}.mp4"), small["mib"], mib, rounds)


def rows_of(step: Callable[[str], dict[str, float]], small: float, mib: int, rounds: int) -> list[dict[str, Any]]:
    """Interleaved: bare, ours, bare; one round more than is counted, to be warm."""
    found = [(step("bare"), step("ours"), step("bare")) for _ in range(rounds + 1)][1:]
    grown = [own["mib"] for _, own, _ in found]
    ratios = [(first["seconds"] + last["seconds"]) / 2 / own["seconds"] for first, own, last in found]
    same = statistics.median(first["seconds"] / last["seconds"] for first, _, last in found)
    bare_mib = statistics.median(first["mib"] for first, _, _ in found)
    bare_speed = mib / statistics.median(first["seconds"] for first, _, _ in found)
    common = {"where": f"{mib} MiB to S3", "same": round(same, 3), "rounds": rounds}
    return [
        common
        | row("B3", "memory that a film adds, MiB", grown, MOST_MIB, "lower")
        | {"unit": "MiB", "void": False, "of_128_mib": round(statistics.median(grown) / small, 2)}
        | {"reference": {"name": "boto3.upload_fileobj", "value": round(bare_mib, 1)}},
        common
        | row("B4", "speed of storing, of upload_fileobj's", ratios, LEAST_RATIO, "higher")
        | {"unit": "1", "void": not 0.95 <= same <= 1.05}
        | {"reference": {"name": "boto3.upload_fileobj, MiB/s", "value": round(bare_speed, 1)}},
    ]


def row(id: str, name: str, values: list[float], goal: float, better: str) -> dict[str, Any]:
    """What all rows of `var/bench.json` have."""
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    worst = max(values) if better == "lower" else min(values)
    return {
        "id": id,
        "name": name,
        "value": round(quartiles[1], 4),
        "iqr": round(quartiles[2] - quartiles[0], 4),
        "p95": round(worst, 4),
        "goal": goal,
        "better": better,
    }


def run_step(environment: dict[str, str], name: str, url: str) -> dict[str, float]:
    """One way, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.storing", "--step", name, "--url", url]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
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
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    host = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"
    finally:
        host.kill()
        host.wait()


if __name__ == "__main__":
    sys.exit(main())
