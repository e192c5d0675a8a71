"""A TCP proxy that spoils connections: put in front of the provider, the store or the database of a test."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

Kind = Literal["latency", "bandwidth", "slicer", "slow_close", "timeout", "limit_data", "reset_peer", "refuse"]
CHUNK = 64 * 1024
# Lingering for zero seconds makes the kernel send RST instead of FIN.
RESET = struct.pack("ii", 1, 0)


@dataclass
class Toxic:
    """One way to spoil what travels `up` (to the server) or `down` (to the client).

    latency: `seconds` before each chunk. bandwidth: `size` bytes a second. slicer: chunks of `size` bytes.
    slow_close: an end is passed on after `seconds`. timeout: what comes is swallowed, the connection stays.
    limit_data: after `size` bytes the connection breaks. reset_peer: it breaks at the first chunk, or at the first
    that holds `when`, which is passed on first if `forward`. refuse: nobody listens. `times` connections are hit.
    """

    kind: Kind
    direction: Literal["up", "down"] = "down"
    seconds: float = 0.0
    size: int = 0
    when: bytes = b""
    forward: bool = False
    times: int | None = None


class Broken(Exception):
    """The connection is to end here."""


class TcpFault:
    """Listens on a loopback port of its own while the context lasts; `url` is the target's address through it."""

    def __init__(self, target: str) -> None:
        rest = target.rpartition("://")[2]
        host, _, port = rest.partition("/")[0].rpartition("@")[2].partition(":")
        self.target = (host, int(port))
        self.toxics: list[Toxic] = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-fault", daemon=True)
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._address = target

    @property
    def url(self) -> str:
        """The target's address with our host and port in place of its own."""
        return self._address.replace(f"{self.target[0]}:{self.target[1]}", f"127.0.0.1:{self._port}")

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._do(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @contextlib.contextmanager
    def spoiled(self, toxic: Toxic) -> Iterator[None]:
        """`toxic` acts while the context lasts, on connections that are open too."""
        self.poison(toxic)
        try:
            yield
        finally:
            self.heal()

    def poison(self, *toxics: Toxic) -> None:
        """From now on these act."""
        self.toxics = list(toxics)
        if any(toxic.kind == "refuse" for toxic in toxics):
            self._do(self._close())

    def heal(self) -> None:
        """From now on everything passes."""
        self.toxics = []
        self._do(self._listen())

    def cut(self) -> None:
        """Break every open connection now."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=CHUNK)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _end_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self) -> None:
        for writer in list(self._open):
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target, limit=CHUNK)
        except OSError:
            reset(writer)
            return
        self._open |= {writer, far_writer}
        pumps = [self._pump(reader, far_writer, "up"), self._pump(far_reader, writer, "down")]
        try:
            await asyncio.gather(*pumps)
        except (Broken, OSError):
            reset(writer)
        finally:
            self._open -= {writer, far_writer}
            for end in (writer, far_writer):
                with contextlib.suppress(OSError, RuntimeError):
                    end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        """Carry bytes one way until an end, as the toxics of that moment allow."""
        passed = 0
        while data := await reader.read(CHUNK):
            for toxic in [toxic for toxic in self.toxics if toxic.direction == direction and toxic.times != 0]:
                data = await self._apply(toxic, data, passed, writer)
            passed += len(data)
            writer.write(data)
            await writer.drain()
        for toxic in self.toxics:
            if toxic.kind == "slow_close" and toxic.direction == direction:
                await asyncio.sleep(toxic.seconds)
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()

    async def _apply(self, toxic: Toxic, data: bytes, passed: int, writer: asyncio.StreamWriter) -> bytes:
        """What is left of `data` to be passed on; raises `Broken`."""
        if toxic.kind == "latency":
            await asyncio.sleep(toxic.seconds)
        elif toxic.kind == "bandwidth":
            await asyncio.sleep(len(data) / toxic.size)
        elif toxic.kind == "slicer":
            for start in range(0, len(data), toxic.size):
                writer.write(data[start : start + toxic.size])
                await writer.drain()
                await asyncio.sleep(toxic.seconds)
            return b""
        elif toxic.kind == "timeout":
            return b""
        elif toxic.kind == "limit_data" and passed + len(data) > toxic.size:
            await self._break(toxic, data[: max(0, toxic.size - passed)], writer)
        elif toxic.kind == "reset_peer" and toxic.when in data:
            await self._break(toxic, data if toxic.forward else b"", writer)
        return data

    async def _break(self, toxic: Toxic, last: bytes, writer: asyncio.StreamWriter) -> None:
        if toxic.times is not None:
            toxic.times -= 1
        if last:
            writer.write(last)
            await writer.drain()
            # The far end is to have it before the connection goes.
            await asyncio.sleep(0.1)
        raise Broken


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection with RST."""
    made: socket.socket | None = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if made is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
