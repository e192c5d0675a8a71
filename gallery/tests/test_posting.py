"""What is posted to an address of the operator's, and what its answer may do to us."""

import json
import time
from collections.abc import Iterator

import pytest

from gallery import fetcher
from generation.tests.wire import Behaviour, Wire, pours, raw, reset, says, silent


def post(url: str, *, deadline_seconds: float = 5) -> int:
    return fetcher.post(url=url, body=b'{"a": 1}', headers={"webhook-id": "n1"}, deadline_seconds=deadline_seconds)


def posted_to(*behaviours: Behaviour, deadline_seconds: float = 5) -> tuple[int, Wire]:
    with Wire(list(behaviours)) as wire:
        return post(f"{wire.url}/hook?key=1", deadline_seconds=deadline_seconds), wire


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


class TestPost:
    def test_sends_the_body_and_the_headers(self) -> None:
        status, wire = posted_to(says(204))

        [request] = wire.requests
        assert (status, request.method, request.path) == (204, "POST", "/hook?key=1")
        assert json.loads(request.body) == {"a": 1}
        assert (request.headers["webhook-id"], request.headers["user-agent"]) == ("n1", "directors-palette")

    @pytest.mark.parametrize("status", [200, 400, 410, 500])
    def test_answers_with_the_status(self, status: int) -> None:
        assert posted_to(says(status))[0] == status

    def test_follows_no_redirect(self) -> None:
        with Wire([says(204)]) as elsewhere:
            assert posted_to(says(307, location=f"{elsewhere.url}/hook"))[0] == 307

        assert elsewhere.requests == []

    def test_reads_nothing_of_a_huge_answer(self) -> None:
        begun = time.monotonic()

        assert posted_to(pours(endless()))[0] == 200

        assert time.monotonic() - begun < 8

    def test_waits_for_nobody_beyond_its_deadline(self) -> None:
        begun = time.monotonic()

        with pytest.raises(fetcher.Interrupted, match="deadline"):
            posted_to(silent, deadline_seconds=0.5)

        assert time.monotonic() - begun < 15

    def test_bears_no_headers_that_never_end(self) -> None:
        head = [b"HTTP/1.1 200 OK\r\n", *(b"x-%d: y\r\n" % number for number in range(400))]

        def drips(connection: object) -> None:
            for piece in head:
                connection.sendall(piece)  # type: ignore[attr-defined]
                time.sleep(0.05)

        with pytest.raises(fetcher.Interrupted):
            posted_to(drips, deadline_seconds=1)

    @pytest.mark.parametrize("behaviour", [reset, raw(b"SSH-2.0-OpenSSH_9.2\r\n"), raw(b"")])
    def test_says_when_there_is_no_answer(self, behaviour: Behaviour) -> None:
        with pytest.raises(fetcher.Interrupted):
            posted_to(behaviour)

    @pytest.mark.parametrize(
        "url",
        [
            "http://192.0.2.1/hook",
            "https://127.0.0.1/hook",
            "https://localhost:8443/hook",
            "https://169.254.169.254/latest",
            "https://[::1]/hook",
            "ftp://127.0.0.1/hook",
            "http://me@127.0.0.1/hook",
        ],
    )
    def test_goes_only_where_it_may(self, url: str) -> None:
        with pytest.raises(fetcher.Blocked):
            post(url)
