"""Processes that a benchmark starts: pinned to cores of their own, watched, and gone with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from palette.environment import VARIABLES
from palette.supervisor import end_with_parent

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_SECONDS = 60.0
CORES = sorted(os.sched_getaffinity(0))
# The product, and the reference in its place, have one half of the cores; who asks, the provider and the store the
# other one.
SERVER_CORES = CORES[: max(1, len(CORES) // 2)]
CLIENT_CORES = CORES[len(SERVER_CORES) :] or CORES
TICKS = os.sysconf("SC_CLK_TCK")
ENGINES = {"postgres", "redis-server"}
# Of the machine, by others; beyond it a figure without a reference beside it says nothing.
MOST_TAKEN = 0.05


def procfile() -> dict[str, str]:
    """Name → command."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines if line)}


def surroundings() -> dict[str, str]:
    """Our own environment without a variable of the product's, and this Python first."""
    found = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return found | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{found['PATH']}", "PYTHONHASHSEED": "0"}


@contextmanager
def process(
    command: str, environment: Mapping[str, str], folder: Path, *, cores: list[int] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """One process on `cores` (those of servers), its output in `folder`, ended kindly and then not."""
    parent, allowed = os.getpid(), cores or SERVER_CORES

    def tie() -> None:
        end_with_parent(signal.SIGKILL, parent)
        os.sched_setaffinity(0, allowed)

    with (folder / "processes.log").open("ab") as output:
        started = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=tie,
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def cpu_seconds(*pids: int) -> float:
    """Processor time that these processes and their ended children have used."""
    found = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += sum(int(ticks) for ticks in fields[11:15])
    return found / TICKS


def family(*pids: int) -> list[int]:
    """These processes and all that descend from them now."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = list(pids)
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


class Others:
    """What everybody else on the machine does from now on, database and Redis apart."""

    def __init__(self) -> None:
        self.before, self.began = self.ticks(), time.perf_counter()

    def ticks(self) -> dict[int, int]:
        """Processor time so far, by process."""
        own, found = set(family(os.getpid())), {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = path.read_text().rpartition(")")
            except OSError:
                continue
            if int(path.parent.name) not in own and name.partition("(")[2] not in ENGINES:
                found[int(path.parent.name)] = sum(int(ticks) for ticks in rest.split()[11:13])
        return found

    def disturbed(self) -> str:
        """Why nothing measured since counts; empty when it does."""
        used = sum(max(0, ticks - self.before.get(pid, 0)) for pid, ticks in self.ticks().items())
        share = used / TICKS / (time.perf_counter() - self.began) / len(CORES)
        return f"others took {share:.0%} of the machine" if share > MOST_TAKEN else ""


def resident_mib(pid: int) -> float:
    """Memory that a process has now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def wait_for(url: str) -> None:
    """Until it answers 200; raises TimeoutError."""
    until = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < until:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
