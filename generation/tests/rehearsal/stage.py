"""The processes of one machine as docs/operations.md has them: nginx, pages, sockets and workers."""

import os
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from generation.tests.rehearsal.creators import Request
from generation.tests.running_studio import answers, wait_for
from generation.tests.torture.surroundings import Process, Web, lacking, resident_bytes
from palette.tests.ports import free_port, listener

# A page that waits must not keep the one behind it from its turn.
THREADS: Final = 8
# Six begin at once on a machine that may be busy with other tests.
START_SECONDS: Final = 300.0


class Member(Process):
    """A process that takes requests from a socket it was given, and from one of its own, where it can be asked."""

    def __init__(self, name: str, folder: Path, surroundings: dict[str, str], held: socket.socket) -> None:
        self.own = listener()
        self.url = f"http://127.0.0.1:{self.own.getsockname()[1]}"
        given, own = held.fileno(), self.own.fileno()
        words = {
            "pages": f"gunicorn --bind fd://{given} --bind fd://{own} --threads {THREADS} --timeout 620 "
            "--graceful-timeout 20 --no-control-socket palette.wsgi",
            "sockets": f"daphne --endpoint fd:fileno={given} --endpoint fd:fileno={own} --http-timeout 600 "
            "--websocket_connect_timeout 30 --verbosity 0 palette.asgi:application",
        }
        super().__init__(name, folder, surroundings, "-m", *words[name].split())
        self.fds = (given, own)

    def start(self) -> Self:
        """Begin, and wait until it answers."""
        super().start()
        self.own.close()
        wait_for(self.answers_or_is_gone, seconds=START_SECONDS, what=self.log)
        assert self.state() in "RSD", self.log()
        return self

    def answers_or_is_gone(self) -> bool:
        """Whether waiting has an end."""
        assert self.process is not None
        return self.process.poll() is not None or answers(f"{self.url}/healthz")

    def kill(self) -> None:
        """With its children, as a machine's failure would."""
        children = self.children()
        super().kill()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def memory_bytes(self) -> int:
        """With its children."""
        return super().memory_bytes() + sum(map(resident_bytes, self.children()))

    def children(self) -> list[int]:
        """Of gunicorn, those that answer."""
        with suppress(OSError):
            return [int(word) for word in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []


class Proxy(Web):
    """nginx, configured as in docs/operations.md. What it says of each request is in `requests`."""

    def __init__(self, folder: Path, *, pages: socket.socket, sockets: socket.socket) -> None:
        self.program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if self.program is None:
            lacking("nginx is not installed (Debian's package nginx-light)")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.home = folder / "nginx"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        places = {"PORT": self.port, "PAGES": pages.getsockname()[1], "SOCKETS": sockets.getsockname()[1]}
        text = (Path(__file__).parent / "nginx.conf").read_text()
        for name, value in places.items():
            text = text.replace(f"@{name}@", str(value))
        (self.home / "nginx.conf").write_text(text)
        Process.__init__(self, "proxy", folder, dict(os.environ))
        self.command = [self.program, "-p", str(self.home), "-c", "nginx.conf", "-e", "stderr"]

    def requests(self) -> list[Request]:
        """All that came, creators', pages' and the provider's, as the proxy has answered them."""
        lines = [line.split(" ", 4) for line in (self.home / "requests.log").read_text().splitlines()]
        return [
            Request(f"{method} {path.partition('?')[0]}", float(moment) - float(seconds), float(moment), int(status))
            for moment, method, status, seconds, path in lines
        ]
