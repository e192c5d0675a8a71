"""Sockets that are open in a process of their own, so that its time is not the server's."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from threading import Thread
from typing import IO

import websockets

from benchmarks.processes import ROOT

AT_ONCE = 50
GIVE_UP_SECONDS = 30.0


@dataclass
class Sockets:
    """`seconds` were needed to open them, `failed` could not be; the first one's frames can be asked for."""

    seconds: float
    failed: int
    _frames: "Queue[tuple[float, str]]" = field(default_factory=Queue)

    def listen(self, lines: IO[str]) -> None:
        """Take what the process prints from now on."""
        for line in lines:
            at, frame = json.loads(line)
            self._frames.put((at, frame))

    def frame(self) -> tuple[float, str]:
        """When the next frame came, and what it said."""
        return self._frames.get(timeout=GIVE_UP_SECONDS)

    def drain(self) -> None:
        """Forget what has come."""
        while not self._frames.empty():
            self._frames.get()


@contextmanager
def opened(url: str, cookies: Sequence[str], *, cores: list[int]) -> Iterator[Sockets]:
    """A socket with each of the cookies, until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.socket_client", url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as client:
        assert client.stdin and client.stdout
        client.stdin.write(json.dumps(list(cookies)) + "\n")
        client.stdin.flush()
        sockets = Sockets(**json.loads(client.stdout.readline()))
        Thread(target=sockets.listen, args=[client.stdout], daemon=True).start()
        yield sockets
        client.terminate()


async def main(url: str, cookies: Sequence[str]) -> None:
    """Open one after the other, say how long it took, and then what the first one hears."""
    turns, began = asyncio.Semaphore(AT_ONCE), time.monotonic()

    async def one(cookie: str) -> websockets.ClientConnection | None:
        async with turns:
            try:
                made = await websockets.connect(
                    url.replace("http", "ws", 1),
                    origin=websockets.Origin("/".join(url.split("/")[:3])),
                    additional_headers={"Cookie": cookie},
                    compression=None,
                    ping_interval=None,
                    open_timeout=GIVE_UP_SECONDS,
                )
                # As every page does; the answer says that the socket is served.
                await made.send('{"since": 0}')
                while "seen" not in str(await made.recv())[:7]:
                    pass
                return made
            except (OSError, TimeoutError, websockets.WebSocketException):
                return None

    # The first one alone, so that it is the first at the server, too.
    first = await one(cookies[0])
    rest = await asyncio.gather(*map(one, cookies[1:]))
    failed = [first, *rest].count(None)
    print(json.dumps({"seconds": time.monotonic() - began, "failed": failed}), flush=True)
    while first is not None:
        frame = await first.recv()
        print(json.dumps([time.monotonic(), str(frame)]), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.stdin.readline())))
