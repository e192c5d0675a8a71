"""Bodies are bounded by address, announced or not, before anything keeps them."""

import asyncio
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from django.test import Client

from palette import limits
from palette.limits import (
    LEAST_BYTES,
    MARK,
    MIB,
    LimitedBody,
    bound_bodies,
    claims_to_be_known,
    exceeds,
    hurry_bodies,
    limit_for,
)
from palette.tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


class TestLimitFor:
    @pytest.mark.parametrize(
        ("path", "limit"),
        [
            ("/api/webhooks/replicate", MIB),
            ("/api/generation/image", 24 * MIB),
            ("/api/gallery/assets", 25 * MIB),
            ("/generate", 24 * MIB),
            ("/api/predictions", MIB),
            ("/accounts/login/", MIB),
        ],
    )
    def test_is_that_of_the_address(self, path: str, limit: int) -> None:
        assert limit_for(path) == limit

    @pytest.mark.parametrize(("length", "too_long"), [("", False), ("x", False), ("1048576", False), ("1048577", True)])
    def test_reads_what_a_header_announces(self, length: str, too_long: bool) -> None:
        assert exceeds(length, MIB) is too_long
        assert exceeds("9" * 5000, MIB)

    def test_is_small_for_strangers(self) -> None:
        assert limit_for("/api/generation/image", known=False) == MIB


class TestClaimsToBeKnown:
    @pytest.mark.parametrize(
        ("headers", "known"),
        [
            ([], False),
            ([(b"cookie", b"theme=dark")], False),
            ([(b"cookie", b"theme=dark; sessionid=abc")], True),
            ([(b"authorization", b"Bearer dp_x")], True),
        ],
    )
    def test_is_so_with_a_session_or_a_token(self, headers: list[tuple[bytes, bytes]], known: bool) -> None:
        assert claims_to_be_known(headers) is known


class TestLimitedBody:
    """Driven as a server drives it: a message at a time."""

    async def call(
        self, chunks: list[bytes], *, path: str = "/api/webhooks/replicate", announced: int | None = None
    ) -> tuple[bytes, bool, int]:
        """What the application got, whether it was marked, and how many messages were taken from the server."""
        headers = [] if announced is None else [(b"content-length", str(announced).encode())]
        scope: dict[str, Any] = {"type": "http", "path": path, "headers": headers}
        taken = 0
        got = b""

        def messages() -> Iterator[dict[str, Any]]:
            for number, chunk in enumerate(chunks):
                yield {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
            yield {"type": "http.disconnect"}

        source = messages()

        async def receive() -> dict[str, Any]:
            nonlocal taken
            taken += 1
            return next(source)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal got
            while (message := await receive())["type"] == "http.request":
                got += message["body"]
                if not message["more_body"]:
                    break

        async def send(message: Any) -> None:
            return None

        await LimitedBody(app)(scope, receive, send)
        return got, scope.get(MARK, False), taken

    async def test_passes_on_what_is_within(self) -> None:
        assert await self.call([b"a" * 1000, b"b"]) == (b"a" * 1000 + b"b", False, 2)

    async def test_passes_on_the_last_byte(self) -> None:
        got, marked, _ = await self.call([b"a" * MIB])

        assert len(got) == MIB
        assert not marked

    async def test_takes_nothing_of_what_announces_too_much(self) -> None:
        assert await self.call([b"a" * 1000] * 50, announced=50 * MIB) == (b"", True, 0)

    async def test_stops_where_chunks_pass_the_limit(self) -> None:
        got, marked, taken = await self.call([b"a" * 65536] * 800)

        assert marked
        assert len(got) == MIB
        assert taken == MIB // 65536 + 1

    async def test_leaves_sockets_alone(self) -> None:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(await receive())

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await LimitedBody(app)({"type": "websocket", "path": "/ws/studio"}, receive, app)  # type: ignore[arg-type]

        assert seen == [{"type": "websocket.connect"}]


@pytest.fixture(scope="module")
def daphne(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server as it is started for real, with a folder of its own, and its port."""
    port = free_port()
    own = {"DATA_DIR": str(tmp_path_factory.mktemp("daphne")), "DJANGO_SETTINGS_MODULE": "palette.settings"}
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "palette.asgi:application"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | own)
    try:
        ends_at = time.monotonic() + 60
        while not answers(port) and time.monotonic() < ends_at:
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.mark.slow
class TestUnderDaphne:
    def post(self, port: int, path: str, body: Any) -> requests.Response:
        headers = {"Content-Type": "application/json"}
        return requests.post(f"http://127.0.0.1:{port}{path}", data=body, headers=headers, timeout=30)

    def test_a_body_without_a_length_is_neither_kept_nor_let_in(
        self, daphne: tuple[subprocess.Popen[bytes], int]
    ) -> None:
        process, port = daphne
        self.post(port, "/api/webhooks/replicate", b"{}")
        before = resident_bytes(process.pid)

        response = self.post(port, "/api/webhooks/replicate", (b"x" * 65536 for _ in range(800)))

        assert response.status_code == 413
        assert response.headers["Content-Type"] == "application/problem+json"
        assert resident_bytes(process.pid) - before < 16 * MIB

    def test_a_body_that_announces_too_much_is_refused(self, daphne: tuple[subprocess.Popen[bytes], int]) -> None:
        assert self.post(daphne[1], "/api/%70redictions?x=1", b"x" * (MIB + 1)).status_code == 413

    @pytest.mark.parametrize("lines", [[b"X-Long: " + b"a" * 100_000], [b"X-%d: a" % n for n in range(10_000)]])
    def test_headers_of_a_hundred_kilobytes_are_refused(
        self, daphne: tuple[subprocess.Popen[bytes], int], lines: list[bytes]
    ) -> None:
        process, port = daphne
        before = resident_bytes(process.pid)
        request = b"\r\n".join([b"GET /api/models HTTP/1.1", b"Host: localhost", *lines, b"", b""])
        answer = b""
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, suppress(ConnectionError):
            connection.sendall(request)
            answer = connection.recv(65536)

        # A line that is too long has its connection cut.
        assert answer[:12] in (b"", b"HTTP/1.1 400")
        assert resident_bytes(process.pid) - before < 8 * MIB
        assert answers(port)

    @pytest.mark.parametrize(
        "lines",
        [
            [b"Content-Length: 64", b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: chunked", b"Content-Length: 4"],
            [b"Content-Length: 0", b"Content-Length: 64"],
            [b"Content-Length: 0, 64"],
            [b"Content-Length: +64"],
            [b"Content-Length: -1"],
            [b"Transfer-Encoding : chunked", b"Content-Length: 64"],
            [b"Transfer-Encoding: \x0bchunked", b"Content-Length: 64"],
            [b"Transfer-Encoding: xchunked"],
            [b"Transfer-Encoding: chunked, identity"],
        ],
    )
    def test_a_body_whose_end_can_be_seen_in_two_places_is_refused(
        self, daphne: tuple[subprocess.Popen[bytes], int], lines: list[bytes]
    ) -> None:
        """What a proxy takes for its end and we do not would be the next visitor's request."""
        head = [b"POST /api/webhooks/replicate HTTP/1.1", b"Host: localhost", *lines, b"", b""]
        hidden = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        told = b""
        with socket.create_connection(("127.0.0.1", daphne[1]), timeout=30) as connection, suppress(ConnectionError):
            connection.sendall(b"\r\n".join(head) + hidden)
            # To its end: a server that went on would leave the connection open.
            while more := connection.recv(65536):
                told += more

        assert told.startswith(b"HTTP/1.1 400")
        assert told.count(b"HTTP/1.1 ") == 1


class TestBoundBodies:
    """On a stand-in with the three attributes of Daphne's request that count here."""

    class Request:
        def __init__(self, path: bytes, **headers: bytes) -> None:
            self.channel = SimpleNamespace(_path=path)
            named = [(name.replace("_", "-").title().encode(), [value]) for name, value in headers.items()]
            self.requestHeaders = SimpleNamespace(getAllRawHeaders=lambda: named)
            self.content = io.BytesIO()

        def handleContentChunk(self, data: bytes) -> None:
            self.content.write(data)

    bound_bodies(Request)

    @pytest.mark.parametrize(
        ("path", "kept"),
        [
            (b"/api/predictions", MIB + 1),
            (b"/api/predictions?next=/api/generation/", MIB + 1),
            (b"/api/gener%61tion/image?x", 3 * MIB),
        ],
    )
    def test_keep_one_byte_more_than_the_limit_of_the_address(self, path: bytes, kept: int) -> None:
        assert self.kept(self.Request(path, authorization=b"Bearer dp_x")) == kept

    def test_keep_little_for_strangers(self) -> None:
        assert self.kept(self.Request(b"/api/generation/image")) == MIB + 1

    def test_keep_nothing_of_what_announces_too_much(self) -> None:
        assert self.kept(self.Request(b"/api/generation/image", content_length=b"2000000")) == 0

    def kept(self, request: Request) -> int:
        """Bytes that are on disk after 3 MiB have come."""
        for _ in range(48):
            request.handleContentChunk(bytes(65536))
        return len(request.content.getvalue())


class TestHurryBodies:
    """On a stand-in for Daphne's request, which tells what became of it."""

    class Request:
        def __init__(self) -> None:
            self.said = b""
            self.ends: list[str] = []
            transport = SimpleNamespace(write=self.hear)
            self.channel = SimpleNamespace(transport=transport, loseConnection=lambda: self.ends.append("cut"))

        def hear(self, words: bytes) -> None:
            self.said += words

        def gotLength(self, length: int | None) -> None:
            self.length = length

        def handleContentChunk(self, data: bytes) -> None:
            pass

        def requestReceived(self, *words: bytes) -> None:
            self.ends.append("whole")

        def connectionLost(self, reason: Any) -> None:
            self.ends.append("gone")

    hurry_bodies(Request)

    @pytest.fixture(autouse=True)
    def impatience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "LEAST_WITHIN_SECONDS", 0.02)

    @pytest.mark.parametrize("length", [1000, None])
    async def test_cut_one_that_drips(self, length: int | None) -> None:
        request = self.Request()

        request.gotLength(length)
        request.handleContentChunk(b"x")
        await asyncio.sleep(0.05)

        assert request.ends == ["cut"]
        assert request.said.startswith(b"HTTP/1.1 408 ")

    async def test_leave_one_that_keeps_coming(self) -> None:
        request = self.Request()

        request.gotLength(MIB)
        for _ in range(10):
            request.handleContentChunk(bytes(LEAST_BYTES))
            await asyncio.sleep(0.01)
        request.requestReceived(b"POST", b"/", b"HTTP/1.1")
        await asyncio.sleep(0.05)

        assert request.ends == ["whole"]

    async def test_forget_one_that_is_gone(self) -> None:
        request = self.Request()

        request.gotLength(MIB)
        request.connectionLost(None)
        await asyncio.sleep(0.05)

        assert request.ends == ["gone"]

    async def test_wait_for_no_body_where_there_is_none(self) -> None:
        request = self.Request()

        request.gotLength(0)
        await asyncio.sleep(0.05)
        request.requestReceived(b"GET", b"/", b"HTTP/1.1")

        assert request.ends == ["whole"]


def resident_bytes(pid: int) -> int:
    """What the process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.django_db
class TestBodyLimitMiddleware:
    def test_answers_the_api_with_a_problem(self, client: Client) -> None:
        response = client.generic("POST", "/api/predictions", b"x" * (MIB + 1), content_type="application/json")

        assert response.status_code == 413
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == "too_large"
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_lets_no_stranger_send_much(self, client: Client) -> None:
        body = b"x" * (MIB + 1)

        stranger = client.generic("POST", "/api/generation/image", body, content_type="application/json")
        known = client.generic(
            "POST",
            "/api/generation/image",
            body,
            content_type="application/json",
            headers={"authorization": "Bearer x"},
        )

        assert (stranger.status_code, known.status_code) == (413, 401)

    def test_answers_a_page_with_a_page(self, client: Client) -> None:
        response = client.generic("POST", "/accounts/login/", b"x" * (MIB + 1))

        assert response.status_code == 413
        assert response["Content-Type"].startswith("text/html")
