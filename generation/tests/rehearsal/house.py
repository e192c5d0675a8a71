"""The whole machine: nginx, and two processes of each kind that can be restarted and killed one by one."""

import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from generation.tests.rehearsal.stage import Member, Proxy
from generation.tests.torture import surroundings
from generation.tests.torture.surroundings import Process
from palette.tests.ports import listener

KINDS: Final = ("pages", "sockets", "worker")
NAMES: Final = tuple(f"{kind} {number}" for kind in KINDS for number in (1, 2))
# A worker tells nobody when it is ready; meanwhile the other one works.
WORKER_STARTS_SECONDS: Final = 5.0
# What it really takes is in the report.
PATIENCE_SECONDS: Final = 120.0


@dataclass
class Deed:
    """A restart or a death: when, how long the process took to end and its successor to be there."""

    name: str
    killed: bool
    at: float = 0.0
    exit_code: int = 0
    ended_seconds: float = 0.0
    back_seconds: float = 0.0


class House:
    """Entered, everything runs; left, nothing does. `processes` are all that ever ran, for their logs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.listeners = {kind: listener() for kind in ("pages", "sockets")}
        self.proxy = Proxy(folder, pages=self.listeners["pages"], sockets=self.listeners["sockets"])
        self.environment = environment | {"PUBLIC_URL": self.proxy.url, "TRUSTED_PROXIES": "127.0.0.1"}
        self.members: dict[str, Process] = {}
        self.processes: list[Process] = [self.proxy]
        self.worked: dict[int, tuple[str, float]] = {}

    def __enter__(self) -> "House":
        try:
            Process.start(self.proxy)
            with ThreadPoolExecutor(len(NAMES)) as pool:
                list(pool.map(self.begin, NAMES))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.kill()
        for held in self.listeners.values():
            held.close()

    def begin(self, name: str) -> None:
        """Start the process of that name, and wait until it takes work."""
        kind = name.split()[0]
        if kind == "worker":
            process: Process = surroundings.worker(self.folder, self.environment)
        else:
            process = Member(kind, self.folder, self.environment, self.listeners[kind])
        self.processes.append(process)
        self.members[name] = process
        process.start()
        if kind == "worker":
            time.sleep(WORKER_STARTS_SECONDS)

    def do(self, deed: Deed) -> None:
        """SIGTERM or SIGKILL, then another process in its place."""
        process = self.members[deed.name]
        deed.at, began = time.time(), time.monotonic()
        if deed.killed:
            process.kill()
        else:
            process.terminate(PATIENCE_SECONDS)
        deed.ended_seconds = time.monotonic() - began
        deed.exit_code = process.wait()
        self.begin(deed.name)
        deed.back_seconds = time.monotonic() - began - deed.ended_seconds

    def look(self) -> dict[str, int]:
        """The resident set of each that runs, by its name, in bytes; and note how much it has worked so far."""
        found = {}
        for name, process in [*self.members.items(), ("proxy 1", self.proxy)]:
            with suppress(OSError):
                found[name] = process.memory_bytes()
                self.worked[process.pid] = (name.split()[0], worked_seconds(process))
        return found

    def worked_seconds(self) -> dict[str, float]:
        """Of processor time, by kind, of all that ever ran."""
        sums: dict[str, float] = defaultdict(float)
        for kind, seconds in self.worked.values():
            sums[kind] += seconds
        return sums


def worked_seconds(process: Process) -> float:
    """Processor time that a process and its children have used."""
    pids = [process.pid, *(process.children() if isinstance(process, Member) else ())]
    return sum(cpu_seconds(pid) for pid in pids)


def cpu_seconds(pid: int) -> float:
    """In user and kernel mode, as the kernel has counted."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
