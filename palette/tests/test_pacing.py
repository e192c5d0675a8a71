"""Streaming under a real Daphne to a client that reads slowly."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palette.tests.endless import CHUNK, CHUNKS
from palette.tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    free = free_port()
    command = [sys.executable, "-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", str(free)]
    server = subprocess.Popen([*command, "palette.tests.endless:application"], cwd=ROOT)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", free), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield free
    finally:
        server.kill()
        server.wait()


def sent(port: int) -> int:
    """Bytes that the server has taken from its application so far."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/sent")
    return int(connection.getresponse().read())


class TestPaced:
    def test_waits_for_a_client_that_does_not_read(self, port: int) -> None:
        before = sent(port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(1)
            time.sleep(0.5)

            assert 0 < sent(port) - before < 16 * 1024 * 1024

    def test_delivers_everything_to_one_that_reads(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(2):
            connection.request("GET", "/")

            assert len(connection.getresponse().read()) == len(CHUNK) * CHUNKS

    def test_forgets_a_client_that_left(self, port: int) -> None:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                client.recv(1)

        assert sent(port) > 0
