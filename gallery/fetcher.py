"""The one way to fetch a file from an address that somebody else wrote down, or to post something there.

An address is a request for trust: each hop is https to a public host (or to one on the caller's list), every
address its name resolves to is checked, and the connection goes to a checked address and to no other, so that
a name which answers differently the second time gains nothing. The name is kept for SNI, certificate and Host.
"""

import base64
import binascii
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError
from urllib3.util import parse_url

RESOLVE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 15.0
# Silence is noticed by then, dripping is not: a head of a few hundred bytes that takes longer never ends.
HEAD_SECONDS = 30.0
MOST_REDIRECTS = 3
CHUNK_BYTES = 256 * 1024
# Below this, averaged over more than a minute, a sender is holding us up.
SLOWEST_BYTES_PER_SECOND = 64_000
SLOW_AFTER_SECONDS = 60.0
HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "directors-palette"}
REDIRECTS = {301, 302, 303, 307, 308}
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
# Delegated, but never to anybody's server: relays, protocol assignments, documentation.
NOT_SERVERS: list[Any] = [IPv4Network("192.88.99.0/24"), IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20")]


class FetchError(Exception):
    """The file did not come. The message is for logs: it may name what must not be told to a stranger."""


class Blocked(FetchError):
    """Our rules do not allow this address or this answer."""


class Gone(FetchError):
    """The host has no such file, or not for us (403, 404, 410)."""


class TooLarge(FetchError):
    """More bytes than the caller takes."""


class Interrupted(FetchError):
    """The network, the host or the clock ended it early; another try may succeed."""


class Unwritten(FetchError):
    """This machine could not write the file down: its disk is full, or broken. `__cause__` is the OSError."""


@dataclass(frozen=True)
class Fetched:
    """What came; the content type is what the host said, which proves nothing."""

    size_bytes: int
    content_type: str


def fetch(
    *,
    url: str,
    to: Path,
    max_bytes: int,
    allowed_hosts: Sequence[str] | None,
    deadline_seconds: float,
    came: Callable[[bytes], None] | None = None,
) -> Fetched:
    """Stream the file at `url` to the path `to`; on any error nothing is left there.

    `came` is told of each piece once it can be read there.

    `allowed_hosts` holds `host`, `*.domain` or `host:port`; None is any public host. Plain http is for a loopback
    `host:port` that is on the list. Raises Blocked, Gone, TooLarge, Interrupted and Unwritten.
    """
    try:
        with _Door(allowed_hosts=allowed_hosts, deadline_seconds=deadline_seconds) as door:
            return _follow(door, url, to, max_bytes, came)
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def post(*, url: str, body: bytes, headers: Mapping[str, str], deadline_seconds: float) -> int:
    """Post `body` to an address of the operator's; the status that was answered. Nothing else is read or followed.

    It is https to a public host, or plain http to this machine. Raises Blocked and Interrupted.
    """
    # The operator chose the host, so its port is as good as listed; of other hosts none is.
    return _post(_Door(allowed_hosts=[_place(url)], deadline_seconds=deadline_seconds), url, body, headers)


def post_to_user(
    *, url: str, body: bytes, headers: Mapping[str, str], deadline_seconds: float, listed: Sequence[str]
) -> int:
    """The same to an address of a user's: https to port 443 of a public host, or to a loopback `host:port` of `listed`.

    Raises Blocked and Interrupted.
    """
    check_users_address(url, listed=listed)
    return _post(_Door(allowed_hosts=_users_list(url, listed), deadline_seconds=deadline_seconds), url, body, headers)


def check_users_address(url: str, *, listed: Sequence[str]) -> None:
    """Raise Blocked for what `post_to_user` refuses before it has asked any name server."""
    hosts = _users_list(url, listed)
    _Door(allowed_hosts=hosts, deadline_seconds=0).admit(url)
    _, host, _ = _parts(url)
    with suppress(ValueError):
        ip_address(host)
        if hosts is None and not is_public(host):
            raise Blocked("an address that is not public")


def decode_data_uri(uri: str, max_bytes: int) -> bytes:
    """The bytes of a `data:` URI; raises TooLarge, and Blocked for what is none."""
    head, comma, data = uri.partition(",")
    if not comma or not re.fullmatch(r"data:[\w.+/;=\-\"]*", head, re.ASCII | re.IGNORECASE):
        raise Blocked("not a data URI")
    if len(data) > 3 * max_bytes + 4:
        raise TooLarge("the data URI is too long")
    if head.lower().endswith(";base64"):
        try:
            content = base64.b64decode(unquote_to_bytes(data), validate=True)
        except (binascii.Error, ValueError):
            raise Blocked("the data URI is not base64") from None
    else:
        content = unquote_to_bytes(data)
    if len(content) > max_bytes:
        raise TooLarge("the data URI holds too many bytes")
    return content


def is_public(address: str) -> bool:
    """Whether an IP address, taken out of every wrapping, is one that anybody's server on the internet may have."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if inner := ip.ipv4_mapped or ip.sixtofour or _nat64(ip):
            return is_public(str(inner))
        if ip not in GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_SERVERS)


def _nat64(ip: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None


@dataclass
class _Door:
    """One fetch's way out: its rules, and the clock that closes its sockets."""

    allowed_hosts: Sequence[str] | None
    deadline_seconds: float
    sockets: list[socket.socket] = field(default_factory=list)
    expired: bool = False

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self.timer = self._clock(self.deadline_seconds)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.timer.cancel()
        for watched in self.sockets:
            watched.close()

    def _clock(self, seconds: float) -> threading.Timer:
        """Socket timeouts restart with every byte; only a clock outside ends a sender who drips."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        return timer

    @contextmanager
    def for_the_head(self) -> Iterator[None]:
        """While this lasts a clock of its own runs: the floor under the speed knows bodies only."""
        timer = self._clock(HEAD_SECONDS)
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        for watched in self.sockets:
            with suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def still_in_time(self) -> None:
        """Raise TimeoutError when the clock has run out: it closes only the sockets that it knew by then."""
        if self.expired:
            raise TimeoutError("the time for this fetch is over")

    def admit(self, url: str) -> None:
        """Raise Blocked unless the rules allow to ask for `url`."""
        scheme, host, port = _parts(url)
        listed = self.allowed_hosts or []
        if scheme == "http":
            if not _is_loopback(host) or f"{_shown(host)}:{port}" not in listed:
                raise Blocked("plain http is for listed loopback hosts only")
        elif port != 443 and f"{_shown(host)}:{port}" not in listed:
            raise Blocked(f"port {port}")
        elif self.allowed_hosts is not None and not any(_matches(host, port, entry) for entry in listed):
            raise Blocked(f"{host} is not on the list")

    def connect(self, host: str, port: int, *, plain: bool) -> socket.socket:
        """A socket to an address of `host` that was checked, of which every address was; raises Blocked, OSError."""
        allowed: Callable[[str], bool] = _is_loopback if plain else is_public
        found = _resolved(host, port, seconds=min(RESOLVE_SECONDS, self.deadline_seconds - self.elapsed()))
        self.still_in_time()
        addresses = list(dict.fromkeys(entry[4][0] for entry in found))
        if not addresses or not all(isinstance(address, str) and allowed(address) for address in addresses):
            raise Blocked(f"{host} resolves to an address that is not public")
        for number, (family, kind, protocol, _, address) in enumerate(found, start=1):
            made = socket.socket(family, kind, protocol)
            made.settimeout(min(CONNECT_SECONDS, max(self.deadline_seconds - self.elapsed(), 0.001)))
            try:
                made.connect(address)
            except OSError:
                made.close()
                if number == len(found):
                    raise
            else:
                made.settimeout(IDLE_SECONDS)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # A duplicate: TLS takes the original's descriptor over.
                self.sockets.append(made.dup())
                self.still_in_time()
                return made
        raise OSError("no address")


def _resolved(host: str, port: int, *, seconds: float) -> list[Any]:
    """What the name server says of `host`; raises TimeoutError, and what `getaddrinfo` raises.

    `getaddrinfo` takes no timeout and cannot be stopped: it is asked in a thread that is left alone with it.
    """
    answer: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        found = answer.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        raise TimeoutError("the name server is silent") from None
    if isinstance(found, Exception):
        raise found
    return found


def _parts(url: str) -> tuple[str, str, int]:
    """Scheme, host, port; raises Blocked for what two readers of addresses might read differently."""
    if re.search(r"[\x00-\x20\x7f-\uffff\U00010000-\U0010ffff\\]", url) or len(url) > 4096:
        raise Blocked("the address holds characters that no address has")
    try:
        ours, theirs = urlsplit(url), parse_url(url)
        scheme, host, port = ours.scheme, ours.hostname or "", ours.port
    except (ValueError, LocationParseError):
        raise Blocked("the address cannot be read") from None
    if scheme not in {"http", "https"} or not host or "@" in ours.netloc:
        raise Blocked("only plain https addresses are fetched")
    if (theirs.scheme, (theirs.host or "").strip("[]"), theirs.port) != (scheme, host, port):
        raise Blocked("the address can be read in two ways")
    return scheme, host, (443 if scheme == "https" else 80) if port is None else port


def _matches(host: str, port: int, entry: str) -> bool:
    if entry.startswith("*."):
        return host.endswith(entry[1:].lower()) and len(host) > len(entry) - 1
    return entry.lower() in {host, f"{_shown(host)}:{port}"}


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _CheckedAdapter(HTTPAdapter):
    """requests' transport with connections that only the door opens."""

    def __init__(self, door: _Door) -> None:
        self.door = door
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        door = self.door

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _opened(self, lambda: door.connect(self.host, self.port, plain=True))

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _opened(self, lambda: door.connect(self.host, self.port, plain=False))

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        super().init_poolmanager(*args, **kwargs)
        self.poolmanager: PoolManager
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _opened(connection: HTTPConnection, connect: Callable[[], socket.socket]) -> socket.socket:
    try:
        return connect()
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, type(error).__name__) from error


def _users_list(url: str, listed: Sequence[str]) -> list[str] | None:
    return [_place(url)] if _place(url) in listed else None


def _place(url: str) -> str:
    _, host, port = _parts(url)
    return f"{_shown(host)}:{port}"


def _post(door: _Door, url: str, body: bytes, headers: Mapping[str, str]) -> int:
    with door:
        door.admit(url)
        with _answer(door, url, "POST", body, headers) as answer:
            if door.expired:
                # The clock closed the socket, which then looks as if the head had ended there.
                raise _interruption(door, None)
            return answer.status_code


def _follow(door: _Door, url: str, to: Path, max_bytes: int, came: Callable[[bytes], None] | None) -> Fetched:
    for _ in range(MOST_REDIRECTS + 1):
        door.admit(url)
        with _answer(door, url) as answer:
            if answer.status_code not in REDIRECTS:
                return _receive(door, answer, to, max_bytes, came)
            try:
                url = urljoin(url, answer.headers.get("Location", ""))
            except ValueError:
                raise Blocked("a redirect to nowhere") from None
    raise Blocked("too many redirects")


@contextmanager
def _answer(
    door: _Door, url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[requests.Response]:
    """The answer to one request, its body not yet read. A session of its own carries no cookie to the next."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", _CheckedAdapter(door))
        session.mount("http://", _CheckedAdapter(door))
        try:
            with door.for_the_head():
                answer = session.request(
                    method,
                    url,
                    data=body,
                    headers=HEADERS | dict(headers or {}),
                    timeout=(CONNECT_SECONDS, IDLE_SECONDS),
                    allow_redirects=False,
                    stream=True,
                )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise _interruption(door, error) from error
        with closing(answer):
            yield answer


def _receive(
    door: _Door, answer: requests.Response, to: Path, max_bytes: int, came: Callable[[bytes], None] | None
) -> Fetched:
    if answer.status_code in {403, 404, 410}:
        raise Gone(f"answered {answer.status_code}")
    if answer.status_code != 200:
        raise Interrupted(f"answered {answer.status_code}")
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Blocked("an encoded body, though none was asked for")
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) > max_bytes:
        raise TooLarge(f"{length} bytes announced")
    size = 0
    try:
        with to.open("wb") as file:
            for chunk in _body(door, answer):
                size += len(chunk)
                if size > max_bytes:
                    raise TooLarge(f"more than {max_bytes} bytes")
                if door.elapsed() > SLOW_AFTER_SECONDS and size < SLOWEST_BYTES_PER_SECOND * door.elapsed():
                    raise Interrupted("too slow")
                file.write(chunk)
                if came:
                    file.flush()
                    came(chunk)
    except OSError as error:
        raise Unwritten(f"{type(error).__name__}: {error.strerror}") from error
    if door.expired or (length.isascii() and length.isdigit() and int(length) != size):
        raise _interruption(door, None)
    return Fetched(size_bytes=size, content_type=answer.headers.get("Content-Type", ""))


def _body(door: _Door, answer: requests.Response) -> Iterator[bytes]:
    """The body in pieces as they come: one that was waited for until it is full would hide how slowly it fills.

    urllib3 holds the whole against its Content-Length and raises when it falls short.
    """
    try:
        while piece := answer.raw.read1(CHUNK_BYTES, decode_content=False):
            yield piece
    except (HTTPError, OSError, ValueError) as error:
        raise _interruption(door, error) from error


def _interruption(door: _Door, error: BaseException | None) -> Interrupted:
    over = door.expired or door.elapsed() >= door.deadline_seconds
    return Interrupted("past the deadline" if over else f"cut off ({type(error).__name__})")
