"""Fetching from addresses that others wrote: what comes, and what is never asked."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import responses

from gallery import fetcher
from gallery.fetcher import (
    Blocked,
    Fetched,
    FetchError,
    Gone,
    Interrupted,
    TooLarge,
    Unwritten,
    decode_data_uri,
    fetch,
    is_public,
)
from gallery.tests.rawserver import RawServer, answer, raw_server, redirect, says

INNER = """
127.0.0.1 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0x7F.0.0.1 0177.0.0.1 017700000001 127.000.000.001
0.0.0.0 0 localhost LOCALHOST localhost. localhost.localdomain ip6-localhost
[::1] [::] [0:0:0:0:0:0:0:1] [0000::0001] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::7f00:1]
[::ffff:0:127.0.0.1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [64:ff9b::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b:1::7f00:1]
[fe80::1] [fe80::1%25lo] [fc00::1] [fd00:ec2::254] [ff02::1] [fec0::1] [100::1] [2001:db8::1] [2001::1] [3fff::1]
169.254.169.254 169.254.169.254. 2852039166 0xa9fea9fe 0251.0376.0251.0376 [::ffff:169.254.169.254] [::ffff:a9fe:a9fe]
10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1 198.18.0.1 192.0.2.1 203.0.113.1 192.88.99.1 224.0.0.1 240.0.0.1
255.255.255.255 127。0。0。1 ①②⑦.⓪.⓪.① 127.0.0.1%00.example.com user@127.0.0.1 example.com@127.0.0.1
example.com\\@127.0.0.1 127.0.0.1\\.example.com 127.0.0.1%2f
""".split()  # noqa: SIM905  (a list of so many would be a screen long)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server() as running:
        yield running


class Nameserver:
    """Stands in for getaddrinfo: each question is answered by the next of its answers."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        family = socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.answers.pop(0)]


def wait_for(server: RawServer) -> list[str]:
    """What the server was told, once it has noticed that the other side is gone."""
    until = time.monotonic() + 5
    while not server.heads and time.monotonic() < until:
        time.sleep(0.01)
    return server.heads


def get(
    server: RawServer, path: str, to: Path, *, max_bytes: int = 10_000_000, deadline_seconds: float = 10
) -> Fetched:
    return fetch(
        url=f"http://{server.host}{path}",
        to=to,
        max_bytes=max_bytes,
        allowed_hosts=[server.host],
        deadline_seconds=deadline_seconds,
    )


class TestInnerAddresses:
    """Nothing inside is ever connected to, however it is spelled."""

    @pytest.mark.parametrize("spelling", INNER)
    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_are_not_reached(self, server: RawServer, tmp_path: Path, scheme: str, spelling: str) -> None:
        # Listed with its port, so that neither list nor port is what keeps it out.
        listed = [f"{spelling.lower()}:{server.port}"] if scheme == "https" else None

        with pytest.raises(FetchError):
            fetch(
                url=f"{scheme}://{spelling}:{server.port}/secret",
                to=tmp_path / "x",
                max_bytes=100,
                allowed_hosts=listed,
                deadline_seconds=5,
            )

        assert server.hits == server.heads == []

    @pytest.mark.parametrize("spelling", INNER)
    def test_are_not_reached_by_a_redirect(self, tmp_path: Path, spelling: str) -> None:
        with raw_server() as inner, raw_server() as outer:
            for scheme in ("https", "http"):
                outer.acts[f"/{scheme}"] = says(redirect(f"{scheme}://{spelling}:{inner.port}/"))

                with pytest.raises(FetchError):
                    get(outer, f"/{scheme}", tmp_path / "x", deadline_seconds=5)

            assert inner.heads == []

    def test_are_refused_when_one_answer_of_many_is_inner(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", Nameserver(["93.184.215.14", "127.0.0.1"]))

        with pytest.raises(Blocked):
            fetch(url="https://a.test/", to=tmp_path / "x", max_bytes=1, allowed_hosts=None, deadline_seconds=5)

    def test_are_not_reached_by_a_name_that_turns(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        names = Nameserver(["93.184.215.14"], ["127.0.0.1"])
        reached: list[Any] = []

        def connect(self: socket.socket, address: Any) -> None:
            reached.append(address[0])
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "getaddrinfo", names)
        monkeypatch.setattr(socket.socket, "connect", connect)

        with pytest.raises(Interrupted):
            fetch(url="https://a.test/", to=tmp_path / "x", max_bytes=1, allowed_hosts=None, deadline_seconds=5)

        assert reached == ["93.184.215.14"]
        assert names.asked == ["a.test"]

    def test_leave_name_and_certificate_to_the_name_asked_for(
        self, server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        connect, reached = socket.socket.connect, []

        def to_server(self: socket.socket, address: Any) -> None:
            reached.append(address)
            connect(self, ("127.0.0.1", server.port))

        monkeypatch.setattr(socket, "getaddrinfo", Nameserver(["93.184.215.14"]))
        monkeypatch.setattr(socket.socket, "connect", to_server)

        with pytest.raises(Interrupted):
            fetch(url="https://pictures.test/x", to=tmp_path / "x", max_bytes=1, allowed_hosts=None, deadline_seconds=2)

        assert reached == [("93.184.215.14", 443)]
        [hello] = wait_for(server)
        assert hello[0] == "\x16" and "pictures.test" in hello and "GET" not in hello

    @pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
    def test_are_told_from_public_ones(self, address: str) -> None:
        assert is_public(address)


class TestRules:
    """What may be asked for at all."""

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://example.com/x",
            "file:///etc/passwd",
            "gopher://example.com/",
            "//example.com/x",
            "example.com",
            "",
            "https://",
            "https://example.com:8443/x",
            "https://example.com:99999/x",
            "http://example.com/x",
            "https://name:password@example.com/",
            "https://exa mple.com/",
            "https://example.com/\r\nX: y",
            "https://example.com\\@127.0.0.1/",
            "https://" + "a" * 5000,
        ],
    )
    def test_refuse(self, tmp_path: Path, url: str) -> None:
        with pytest.raises(Blocked):
            fetch(url=url, to=tmp_path / "x", max_bytes=1, allowed_hosts=None, deadline_seconds=5)

    @pytest.mark.parametrize(
        ("host", "allowed"),
        [
            ("replicate.delivery", True),
            ("pbxt.replicate.delivery", True),
            ("a.b.replicate.delivery", True),
            ("replicate.delivery.evil.test", False),
            ("evilreplicate.delivery", False),
            ("example.com", False),
        ],
    )
    @responses.activate
    def test_keep_to_the_list(self, tmp_path: Path, host: str, allowed: bool) -> None:
        responses.get(f"https://{host}/x", body=b"abc")
        hosts = ["replicate.delivery", "*.replicate.delivery"]

        def asked() -> Fetched:
            return fetch(
                url=f"https://{host}/x", to=tmp_path / "x", max_bytes=9, allowed_hosts=hosts, deadline_seconds=5
            )

        if allowed:
            assert asked().size_bytes == 3
        else:
            with pytest.raises(Blocked):
                asked()
            assert len(responses.calls) == 0

    @responses.activate
    def test_hold_at_every_hop(self, tmp_path: Path) -> None:
        responses.get("https://replicate.delivery/x", status=302, headers={"Location": "https://example.com/y"})

        with pytest.raises(Blocked):
            fetch(
                url="https://replicate.delivery/x",
                to=tmp_path / "x",
                max_bytes=9,
                allowed_hosts=["replicate.delivery"],
                deadline_seconds=5,
            )

        assert len(responses.calls) == 1

    def test_send_neither_token_nor_cookie(
        self, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        server.acts["/a"] = says(
            answer(b"", "Set-Cookie: a=b; Path=/", "Location: /b", status="302 Found"),
        )
        server.acts["/b"] = says(answer(b"abc"))

        get(server, "/a", tmp_path / "x")

        sent = "".join(server.heads).lower()
        assert server.hits == ["/a", "/b"]
        assert "authorization" not in sent
        assert "cookie" not in sent
        assert "accept-encoding: identity" in sent


class TestFetch:
    """What comes back, and how it fails."""

    def test_streams_the_body_to_the_path(self, server: RawServer, tmp_path: Path) -> None:
        body = bytes(range(256)) * 8192
        server.acts["/x"] = says(answer(body, "Content-Type: image/png"))

        fetched = get(server, "/x", tmp_path / "x")

        assert fetched == Fetched(size_bytes=len(body), content_type="image/png")
        assert (tmp_path / "x").read_bytes() == body

    def test_reads_a_chunked_body(self, server: RawServer, tmp_path: Path) -> None:
        server.acts["/x"] = says(
            answer(b"", "Transfer-Encoding: chunked", length=-1), b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"
        )

        assert get(server, "/x", tmp_path / "x").size_bytes == 5

    def test_follows_three_redirects_and_not_four(self, server: RawServer, tmp_path: Path) -> None:
        for number in range(4):
            server.acts[f"/{number}"] = says(redirect(f"/{number + 1}"))
        server.acts["/4"] = says(answer(b"abc"))

        assert get(server, "/1", tmp_path / "x").size_bytes == 3
        with pytest.raises(Blocked):
            get(server, "/0", tmp_path / "x")

    @pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "410 Gone"])
    def test_says_when_the_file_is_gone(self, server: RawServer, tmp_path: Path, status: str) -> None:
        server.acts["/x"] = says(answer(b"no", status=status))

        with pytest.raises(Gone):
            get(server, "/x", tmp_path / "x")

    @pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "429 Slow", "500 Oh", "503 Later"])
    def test_takes_other_answers_as_interruptions(self, server: RawServer, tmp_path: Path, status: str) -> None:
        server.acts["/x"] = says(answer(b"", status=status))

        with pytest.raises(Interrupted):
            get(server, "/x", tmp_path / "x")

    @pytest.mark.parametrize("sent", [0, 1, 999])
    @pytest.mark.parametrize("rst", [False, True])
    def test_notices_a_short_body(self, server: RawServer, tmp_path: Path, sent: int, rst: bool) -> None:
        server.acts["/x"] = says(answer(b"x" * sent, length=1000), rst=rst)

        with pytest.raises(Interrupted):
            get(server, "/x", tmp_path / "x")

        assert not (tmp_path / "x").exists()

    def test_notices_a_chunked_body_without_its_end(self, server: RawServer, tmp_path: Path) -> None:
        server.acts["/x"] = says(answer(b"", "Transfer-Encoding: chunked", length=-1), b"3\r\nabc\r\n")

        with pytest.raises(Interrupted):
            get(server, "/x", tmp_path / "x")

    def test_refuses_too_much_by_its_announcement(self, server: RawServer, tmp_path: Path) -> None:
        server.acts["/x"] = says(answer(b"", length=10**10))

        with pytest.raises(TooLarge):
            get(server, "/x", tmp_path / "x", max_bytes=1000)

    def test_refuses_too_much_while_it_streams(self, server: RawServer, tmp_path: Path) -> None:
        server.acts["/x"] = says(answer(bytes(2_000_000), length=-1))

        with pytest.raises(TooLarge):
            get(server, "/x", tmp_path / "x", max_bytes=1_000_000)

        assert not (tmp_path / "x").exists()

    def test_refuses_an_encoded_body(self, server: RawServer, tmp_path: Path) -> None:
        server.acts["/x"] = says(answer(b"\x1f\x8b", "Content-Encoding: gzip"))

        with pytest.raises(Blocked):
            get(server, "/x", tmp_path / "x")

    def test_ends_at_the_deadline_whatever_drips(self, server: RawServer, tmp_path: Path) -> None:
        def drip(*first: bytes) -> Any:
            def act(connection: socket.socket) -> None:
                connection.sendall(b"".join(first))
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.05)

            return act

        server.acts["/body"] = drip(answer(b"", length=1000))
        server.acts["/head"] = drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        server.acts["/endless"] = drip(answer(b"", length=-1))
        for path in server.acts:
            started = time.monotonic()

            with pytest.raises(Interrupted, match="deadline"):
                get(server, path, tmp_path / "x", deadline_seconds=0.4)

            assert time.monotonic() - started < 4

    def test_ends_at_the_deadline_after_a_slow_name(
        self, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve = socket.getaddrinfo

        def slowly(*asked: Any, **options: Any) -> Any:
            time.sleep(0.5)
            return resolve(*asked, **options)

        server.acts["/body"] = says(answer(b"abc"))
        monkeypatch.setattr(socket, "getaddrinfo", slowly)

        with pytest.raises(Interrupted, match="deadline"):
            get(server, "/body", tmp_path / "x", deadline_seconds=0.2)

        assert server.hits == []

    def test_does_not_wait_for_a_name_server_that_is_silent(
        self, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        silent = threading.Event()
        monkeypatch.setattr(fetcher, "RESOLVE_SECONDS", 0.2)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: silent.wait(20))
        started = time.monotonic()

        with pytest.raises(Interrupted):
            get(server, "/x", tmp_path / "x", deadline_seconds=60)

        silent.set()
        assert time.monotonic() - started < 15

    def test_gives_up_on_headers_that_never_end(
        self, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetcher, "HEAD_SECONDS", 0.3)

        def act(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.05)

        server.acts["/x"] = act
        started = time.monotonic()

        with pytest.raises(Interrupted):
            get(server, "/x", tmp_path / "x", deadline_seconds=60)

        assert time.monotonic() - started < 4

    def test_says_when_this_machine_is_at_fault(self, server: RawServer, tmp_path: Path) -> None:
        server.acts["/x"] = says(answer(b"x" * 100_000))
        (tmp_path / "x").symlink_to("/dev/full")

        with pytest.raises(Unwritten) as fault:
            get(server, "/x", tmp_path / "x")

        assert isinstance(fault.value.__cause__, OSError)
        assert fault.value.__cause__.errno == errno.ENOSPC

    def test_gives_up_on_silence(self, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetcher, "IDLE_SECONDS", 0.2)
        server.acts["/x"] = lambda connection: time.sleep(2)

        with pytest.raises(Interrupted, match="Timeout"):
            get(server, "/x", tmp_path / "x")

    def test_gives_up_on_a_sender_below_the_floor(
        self, server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetcher, "SLOW_AFTER_SECONDS", 0.1)

        def act(connection: socket.socket) -> None:
            connection.sendall(answer(b"", length=100_000))
            for _ in range(200):
                connection.sendall(b"x")
                time.sleep(0.05)

        server.acts["/x"] = act

        started = time.monotonic()

        with pytest.raises(Interrupted, match="slow"):
            get(server, "/x", tmp_path / "x")

        assert time.monotonic() - started < 8

    def test_takes_nobody_at_the_door_as_an_interruption(self, tmp_path: Path) -> None:
        with raw_server() as closed:
            pass

        with pytest.raises(Interrupted):
            get(closed, "/x", tmp_path / "x")


class TestDecodeDataUri:
    def test_reads_base64_and_percent_codes(self) -> None:
        assert decode_data_uri("data:image/png;base64,aGVsbG8=", 100) == b"hello"
        assert decode_data_uri("DATA:text/plain;charset=utf-8;base64,aGVsbG8%3D", 100) == b"hello"
        assert decode_data_uri("data:,a%20b", 100) == b"a b"

    @pytest.mark.parametrize("uri", ["data:", "data", "data:image/png;base64", "data:;base64,%%%", "data:;base64,a"])
    def test_refuses_what_is_none(self, uri: str) -> None:
        with pytest.raises(Blocked):
            decode_data_uri(uri, 100)

    @pytest.mark.parametrize("uri", ["data:," + "x" * 101, "data:;base64," + "eHh4" * 34, "data:," + "x" * 10_000])
    def test_refuses_too_much(self, uri: str) -> None:
        with pytest.raises(TooLarge):
            decode_data_uri(uri, 100)


class TestUsersAddresses:
    """Where a user may have something posted to."""

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/",
            "https://hooks.example.com:8443/",
            "https://127.0.0.1/",
            "https://10.0.0.7/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://169.254.169.254/latest",
            "http://127.0.0.1:9001/",
            "https://me:pw@hooks.example.com/",
            "ftp://hooks.example.com/",
            "https://",
        ],
    )
    def test_are_refused_before_anybody_is_asked(self, url: str) -> None:
        with pytest.raises(fetcher.Blocked):
            fetcher.check_users_address(url, listed=["127.0.0.1:9000"])

    @pytest.mark.parametrize(
        "url", ["https://hooks.example.com/studio?key=1", "https://8.8.8.8/", "http://127.0.0.1:9000/x"]
    )
    def test_are_public_or_listed(self, url: str) -> None:
        fetcher.check_users_address(url, listed=["127.0.0.1:9000"])

    def test_are_looked_up_when_something_is_posted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))],
        )

        with pytest.raises(fetcher.Blocked):
            fetcher.post_to_user(
                url="https://hooks.example.com/", body=b"{}", headers={}, deadline_seconds=5, listed=[]
            )
