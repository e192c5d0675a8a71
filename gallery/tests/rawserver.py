"""A loopback server that says exactly the bytes it is told to, for answers no proper server gives."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Act = Callable[[socket.socket], None]


@dataclass
class RawServer:
    """Answers each connection by the act for its path; `hits` has the paths asked for, `heads` whole requests."""

    acts: dict[str, Act] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                head += data
            self.heads.append(head.decode("latin-1"))
            self.hits.append(head.split(b" ")[1].decode("latin-1") if head.count(b" ") > 1 else "")
            if act := self.acts.get(self.hits[-1]):
                act(connection)


@contextmanager
def raw_server(acts: dict[str, Act] | None = None) -> Iterator[RawServer]:
    """A running server; its listener is closed at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(acts or {}, port=listener.getsockname()[1])

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=server.serve, args=[connection], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def says(*parts: bytes, rst: bool = False) -> Act:
    """Send the parts and close, or reset."""

    def act(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        if rst:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    return act


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An HTTP answer with its Content-Length (-1 leaves that header away)."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str) -> bytes:
    """A 302 to `location`."""
    return answer(b"", f"Location: {location}", status="302 Found")
