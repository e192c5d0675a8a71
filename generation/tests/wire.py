"""A server of bare sockets that answers whatever bytes a test wants, or nothing, or hangs up."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

Behaviour = Callable[[socket.socket], None]
NORMAL = {200: "OK", 201: "Created", 202: "Accepted"}


@dataclass
class Request:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Wire:
    """Serves each request with the next behaviour, the last one for ever."""

    behaviours: list[Behaviour]
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        # A thread that waits in accept would keep a merely closed socket listening.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(_read_request(connection))
                behaviour = self.behaviours[min(len(self.requests), len(self.behaviours)) - 1]
                behaviour(connection)
            except OSError:
                pass


def _read_request(connection: socket.socket) -> Request:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "chunked" in headers.get("transfer-encoding", ""):
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(connection)
    while len(body) < int(headers.get("content-length", 0)):
        body += _more(connection)
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the client hung up")
    return data


def says(status: int, body: Any = b"", **headers: str) -> Behaviour:
    """An answer; a body that is not bytes goes as JSON. `retry_after="7"` becomes the header `retry-after`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} {NORMAL.get(status, 'Words')}", f"content-length: {len(content)}", "connection: close"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in named.items()), "", ""])
    return lambda connection: connection.sendall(head.encode() + content)


def raw(content: bytes) -> Behaviour:
    """These bytes, then an end."""
    return lambda connection: connection.sendall(content)


def silent(connection: socket.socket) -> None:
    """Never an answer, until the client goes."""
    connection.settimeout(20)
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    """A connection that breaks."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def pours(chunks: Iterable[bytes], *, pause: float = 0) -> Behaviour:
    """A body without a stated length, piece by piece."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        for chunk in chunks:
            connection.sendall(chunk)
            time.sleep(pause)

    return behave
