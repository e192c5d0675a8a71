"""A Redis of a test's own, to be killed and started again."""

import subprocess
from pathlib import Path

from palette.tests.ports import free_port


class RedisServer:
    """A server on a port of its own, which keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        self.command.append(str(folder))

    def start(self) -> None:
        """Begin, and wait until it takes connections."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        while "Ready to accept" not in (line := self.process.stdout.readline()):
            assert line, "it has ended"

    def kill(self) -> None:
        """At once, with all it knew."""
        self.process.kill()
        self.process.communicate()
