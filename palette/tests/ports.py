"""Ports for processes that tests start."""

import errno
import secrets
import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the kernel gives to outgoing connections in the meantime."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            port = 10_000 + secrets.randbelow(22_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def listener() -> socket.socket:
    """A socket that outlives the processes which take from it, as systemd's do: what connects meanwhile waits."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    while True:
        try:
            held.bind(("127.0.0.1", free_port()))
            break
        except OSError as error:
            # Another test may have taken it since.
            if error.errno != errno.EADDRINUSE:
                raise
    held.listen(1024)
    return held
