"""Starts a few processes, starts again what dies, and lets none of them outlive it."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

# After SIGTERM a process has this long to come to an end: the worker finishes what it has begun within twenty seconds.
GRACE_SECONDS: Final = 22.0
# Pauses before a dead process is started again; the last is repeated.
BACK_OFF_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
# Who has lived this long starts again without having been held against.
STEADY_SECONDS: Final = 30.0

PR_SET_PDEATHSIG: Final = 1  # prctl(2), Linux only
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: int, parent: int) -> None:
    """Ask the kernel for signal `number` when our parent, which must still be `parent`, dies (Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), number)


def killed_with(parent: int) -> Callable[[], None]:
    """What a child runs between fork and exec."""
    return lambda: end_with_parent(signal.SIGKILL, parent)


@dataclass
class Program:
    """One process to keep running; each line that it prints is shown behind its name."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


class Supervisor:
    """Runs programs until `stop` is called. Not restartable."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, program: Program) -> None:
        """Keep `program` running from now on."""
        self.tasks.append(asyncio.create_task(self._keep_running(program)))

    def stop(self) -> None:
        """Ask every program to end; `finished` tells when they have."""
        self.stopping.set()

    async def finished(self) -> None:
        """Wait for `stop`, then for the end of every program."""
        await self.stopping.wait()
        await asyncio.gather(*self.tasks)

    async def _keep_running(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        while not self.stopping.is_set():
            began = loop.time()
            code = await self._run_once(program)
            if self.stopping.is_set():
                return
            deaths = 0 if loop.time() - began > STEADY_SECONDS else deaths + 1
            pause = BACK_OFF_SECONDS[min(deaths, len(BACK_OFF_SECONDS)) - 1] if deaths else 0.0
            show(program.name, f"ended with {code}; starting again in {pause:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), pause)

    async def _run_once(self, program: Program) -> int:
        """One life of `program`; returns its exit code (negative: the signal that ended it)."""
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | program.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in a terminal reaches its foreground group; only we answer it.
            start_new_session=True,
            preexec_fn=killed_with(os.getpid()),
        )
        reading = asyncio.create_task(relay(program.name, process))
        ending = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ending.done():
            await end(process, ending)
        await reading
        return await ending


async def end(process: asyncio.subprocess.Process, ending: "asyncio.Task[int]") -> None:
    """SIGTERM, and SIGKILL after the grace."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(ending), seconds)
            return


async def relay(name: str, process: asyncio.subprocess.Process) -> None:
    """Show every line of `process` until it closes its output."""
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than the stream's limit: the rest comes as further lines
            continue
        if not line:
            return
        show(name, line.decode(errors="replace").rstrip())


def show(name: str, line: str) -> None:
    """Print one line behind the name of who says it."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{name:>7} │ {line}\n")
        sys.stdout.flush()
