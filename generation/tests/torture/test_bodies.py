"""F25 and F26: bodies that are huge, endless, dripping or no text at all, and methods that nobody asked for."""

import gzip
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from generation.models import WebhookDelivery
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import PATH, Delivery, news, sent, signed
from generation.tests.torture.scene import Scene, within
from generation.tests.torture.surroundings import Web

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1024 * 1024
BODY = b'{"id": "p1", "status": "starting"}'
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


def delivery(scene: Scene, body: bytes = BODY, headers: Mapping[str, str] | None = None) -> Delivery:
    """Rightly signed, to nobody's address."""
    return signed(body, secret=scene.sandbox.secret, headers=headers)


def pour(web: Web, headers: str, pieces: Iterable[bytes], *, most_seconds: float = 30) -> bytes:
    """Send these headers and pieces until the other end has enough; what it says."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", web.port), timeout=most_seconds) as line:
        line.sendall(f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n{headers}\r\n\r\n".encode())
        with suppress(ConnectionError):
            for piece in pieces:
                line.sendall(piece)
        return line.recv(65536)
    return b""


def dripping(seconds: int) -> Iterator[bytes]:
    """A byte a second."""
    for _ in range(seconds):
        yield b"x"
        time.sleep(1)


def spooled_bytes(web: Web) -> int:
    """What lies in files that have no name any more, as a body does."""
    found = 0
    for descriptor in Path(f"/proc/{web.pid}/fd").iterdir():
        with suppress(OSError):
            if "(deleted)" in str(descriptor.readlink()):
                found += descriptor.stat().st_size
    return found


class TestFiftyMebibytes:
    ANNOUNCED = f"Content-Length: {50 * MIB}", [b"x" * 65536] * 800
    CHUNKED = "Transfer-Encoding: chunked", [CHUNK] * 800 + [b"0\r\n\r\n"]

    @pytest.mark.row("F25")
    @pytest.mark.parametrize(("headers", "pieces"), [ANNOUNCED, CHUNKED], ids=["announced", "chunked"])
    def test_are_refused_and_kept_nowhere(self, scene: Scene, headers: str, pieces: list[bytes]) -> None:
        web = scene.another_web()
        pour(web, headers, pieces)
        memory, spooled = web.memory_bytes(), []

        def watched() -> Iterator[bytes]:
            for number, piece in enumerate(pieces):
                yield piece
                if not number % 100:
                    spooled.append(spooled_bytes(web))

        answer = pour(web, headers, watched())

        assert answer.split(b" ")[1:2] == [b"413"]
        assert max(spooled) <= MIB + 65536
        assert web.memory_bytes() - memory <= 4 * MIB
        scene.note(f"+{(web.memory_bytes() - memory) / MIB:.1f} MiB; {oracle.check(scene)}")


class TestADrip:
    @pytest.mark.row("F25")
    def test_of_a_byte_a_second_is_cut_and_keeps_nobody_waiting(self, scene: Scene) -> None:
        began = time.monotonic()

        with ThreadPoolExecutor(30) as pool:
            drips = [pool.submit(pour, scene.web, "Content-Length: 1000", dripping(40)) for _ in range(30)]
            with within(2):
                assert delivery(scene).to(scene.web) == 204
            answers = {drip.result().partition(b"\r\n")[0] for drip in drips}
        seconds = time.monotonic() - began

        assert answers <= {b"HTTP/1.1 408 Request Timeout", b""}
        assert seconds < 20
        scene.note(f"cut after {seconds:.0f} s; {oracle.check(scene)}")


class TestABody:
    @pytest.mark.row("F26")
    @pytest.mark.parametrize(
        "body",
        [b"\xff\xfe\x00", b"\xef\xbb\xbf" + BODY, b"\0", b"", gzip.compress(BODY), b"[" * 5000, b"{'id': 'p1'}"],
        ids=["bytes", "bom", "nul", "empty", "gzip", "deep", "quotes"],
    )
    def test_that_is_no_json_in_utf8_is_refused_though_it_is_signed(self, scene: Scene, body: bytes) -> None:
        assert delivery(scene, body, {"content-encoding": "gzip"}).to(scene.web) == 400

        assert not WebhookDelivery.objects.exists()
        scene.note(oracle.check(scene))

    @pytest.mark.row("F26")
    @pytest.mark.parametrize(
        "content_type",
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x; charset=x"],
    )
    def test_is_taken_by_its_bytes_and_not_by_its_name(self, scene: Scene, content_type: str) -> None:
        assert delivery(scene, headers={"content-type": content_type}).to(scene.web) == 204

        assert bytes(WebhookDelivery.objects.get().body) == BODY
        scene.note(oracle.check(scene))

    @pytest.mark.row("F26")
    def test_with_figures_that_no_database_keeps_ends_the_run_all_the_same(self, scene: Scene) -> None:
        [prediction] = sent(scene)
        odd: dict[str, Any] = {
            "logs": "a\0b\ud800",
            "metrics": {"predict_time": float("nan"), "image_output_count": 10**400},
        }

        assert news(scene, prediction, **odd).to(scene.web) == 204

        assert WebhookDelivery.objects.get().outcome == "applied"
        scene.worker()
        scene.settle()
        row = scene.row(prediction)
        assert (row.status, row.cost_micros) == ("succeeded", 39_000)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F26")
    def test_comes_by_post_alone_and_is_never_sent_elsewhere(self, scene: Scene) -> None:
        good = delivery(scene)

        answers = {method: good.to(scene.web, method=method) for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD")}

        assert set(answers.values()) == {405}
        assert Delivery(f"{PATH}/", good.body, good.headers).to(scene.web) == 204
        scene.note(oracle.check(scene))
