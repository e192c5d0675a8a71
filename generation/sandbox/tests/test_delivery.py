"""Output files over the wire: whole, in ranges, and broken on request."""

import base64
import gzip
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from generation.sandbox.running import RunningSandbox
from generation.sandbox.tests.conftest import ended


@pytest.fixture
def address(http: httpx.Client) -> str:
    """A picture's address."""
    made: str = ended(http)["output"]
    return made


class TestDelivery:
    def test_needs_no_token_and_has_the_pictures_type(self, address: str) -> None:
        answer = httpx.get(address)

        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content[:3] == b"\xff\xd8\xff"
        assert len(answer.content) == int(answer.headers["content-length"])

    @pytest.mark.parametrize(
        ("asked", "first", "stop"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None)]
    )
    def test_gives_a_part(self, address: str, asked: str, first: int, stop: int | None) -> None:
        whole = httpx.get(address).content

        answer = httpx.get(address, headers={"range": asked})

        assert answer.status_code == 206
        assert answer.content == whole[first:stop]
        place = len(whole) + first if first < 0 else first
        assert answer.headers["content-range"] == f"bytes {place}-{place + len(answer.content) - 1}/{len(whole)}"

    def test_refuses_a_part_behind_the_end(self, address: str) -> None:
        assert httpx.get(address, headers={"range": "bytes=99999999-"}).status_code == 416

    def test_gives_the_whole_when_the_tag_has_changed(self, address: str) -> None:
        answer = httpx.get(address, headers={"range": "bytes=0-9", "if-range": '"other"'})

        assert answer.status_code == 200

    def test_answers_head_without_a_body(self, address: str) -> None:
        answer = httpx.head(address)

        assert (answer.content, answer.headers["accept-ranges"]) == (b"", "bytes")

    @pytest.mark.parametrize("name", ["out-9.jpg", "..%2F..%2Fsandbox.sqlite3", ".out-0.jpg"])
    def test_knows_no_other_files(self, address: str, name: str) -> None:
        assert httpx.get(address.rsplit("/", 1)[0] + "/" + name).status_code == 404

    def test_is_logged_with_whether_a_token_came(self, running: RunningSandbox, address: str) -> None:
        httpx.get(address)
        httpx.get(address, headers={"authorization": "Bearer leaked"})

        assert [entry["authorized"] for entry in running.log("delivery")] == [False, True]


class TestFault:
    @pytest.mark.parametrize(
        ("fault", "status", "content_type", "body"),
        [
            ({"kind": "missing"}, 404, "text/plain", None),
            ({"kind": "missing", "status": 403}, 403, "text/plain", None),
            ({"kind": "html"}, 200, "text/html", b"sign in"),
            ({"kind": "mislabelled"}, 200, "image/jpeg", b"sign in"),
            ({"kind": "json"}, 200, "application/json", b"expired"),
            ({"kind": "empty"}, 200, "image/jpeg", b""),
            ({"kind": "redirect"}, 302, "application/json", None),
        ],
    )
    def test_answers_something_else(
        self,
        running: RunningSandbox,
        http: httpx.Client,
        fault: dict[str, Any],
        status: int,
        content_type: str,
        body: bytes | None,
    ) -> None:
        running.add_fault({"files": fault})

        answer = httpx.get(ended(http)["output"])

        assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
        assert body is None or (body in answer.content and bool(body) is bool(answer.content))

    @pytest.mark.parametrize("kind", ["truncated", "reset"])
    def test_breaks_off(self, running: RunningSandbox, http: httpx.Client, kind: str) -> None:
        running.add_fault({"files": {"kind": kind, "bytes": 100}})
        address = ended(http)["output"]

        with pytest.raises(httpx.TransportError):
            httpx.get(address)

    def test_breaks_off_unnoticed_without_a_length(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"files": {"kind": "truncated", "bytes": 100, "declared": False}})

        answer = httpx.get(ended(http)["output"])

        assert len(answer.content) == 100
        assert "content-length" not in answer.headers

    def test_is_slow(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"files": {"kind": "slow", "bytes_per_second": 20_000}})
        address = ended(http)["output"]

        begun = time.monotonic()
        size = len(httpx.get(address).content)

        assert time.monotonic() - begun >= size / 20_000 * 0.8

    def test_is_huge(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"files": {"kind": "huge", "bytes": 3_000_000}})

        assert len(httpx.get(ended(http)["output"]).content) == 3_000_000

    def test_passes_after_so_many_times(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"files": {"kind": "missing", "times": 2}})
        address = ended(http)["output"]

        assert [httpx.get(address).status_code for _ in range(3)] == [404, 404, 200]

    def test_serves_any_bytes(self, running: RunningSandbox, http: httpx.Client) -> None:
        content = base64.b64encode(b"<svg/>").decode()
        running.add_fault({"files": {"kind": "content", "content": content, "content_type": "image/svg+xml"}})

        answer = httpx.get(ended(http)["output"])

        assert (answer.content, answer.headers["content-type"]) == (b"<svg/>", "image/svg+xml")

    def test_serves_an_encoded_body(self, running: RunningSandbox, http: httpx.Client) -> None:
        content = base64.b64encode(gzip.compress(b"many" * 100)).decode()
        running.add_fault({"files": {"kind": "content", "content": content, "encoding": "gzip"}})

        answer = httpx.get(ended(http)["output"])

        assert (answer.content, answer.headers["content-type"]) == (b"many" * 100, "image/jpeg")

    def test_leads_round_in_a_circle(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"files": {"kind": "redirect", "location": "{url}"}})
        address = ended(http)["output"]

        assert httpx.get(address).headers["location"] == address

    def test_never_ends_its_headers(self, running: RunningSandbox, http: httpx.Client) -> None:
        running.add_fault({"files": {"kind": "endless_head", "bytes_per_second": 100}})
        parts = urlsplit(ended(http)["output"])

        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
            connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            time.sleep(0.3)
            told = connection.recv(10_000)

        assert told.startswith(b"HTTP/1.1 200 OK\r\nx-slow: xxx")
        assert b"\r\n\r\n" not in told
