"""The whole product as separate processes: sandbox, worker and web server on free ports, with data of their own."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from palette.environment import VARIABLES
from palette.tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
# On a machine that does much else; a test has a limit of its own.
READY_SECONDS = MANAGE_SECONDS = 1200.0


class RunningStudio:
    """Started by entering the context. On PostgreSQL it has a database of its own, on the server of `DATABASE_URL`.

    `speed` is the sandbox's; `environment` is what a process of the product gets, and more may be added before
    the start. `url` is where the pages are.
    """

    def __init__(self, folder: Path, *, speed: str = "10", **more: str) -> None:
        self.folder = folder
        self.port, self.sandbox_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.speed = speed
        taken_over = {"REDIS_URL", *(name for name in VARIABLES if name.startswith("S3_"))}
        kept = {name: value for name, value in os.environ.items() if name not in set(VARIABLES) - taken_over}
        self.environment = kept | {
            "DJANGO_SETTINGS_MODULE": "palette.settings",
            "DATA_DIR": str(folder),
            "PORT": str(self.port),
            "SANDBOX_URL": f"http://127.0.0.1:{self.sandbox_port}",
            "LOG_LEVEL": "warning",
            **more,
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if os.environ.get("DATABASE_URL", "").startswith("postgres"):
                self.environment["DATABASE_URL"] = stack.enter_context(scratch_database(os.environ["DATABASE_URL"]))
            stack.callback(self.stop)
            self.start_sandbox()
            self.manage("migrate", "--verbosity", "0")
            self.start_web()
            self.start_worker()
            self.wait_until_ready()
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def manage(self, *words: str) -> str:
        """Run a management command to its end; what it printed."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=MANAGE_SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_sandbox(self) -> None:
        """The bundled provider."""
        self._start("sandbox", "manage.py", "sandbox", "--port", str(self.sandbox_port), "--speed", self.speed)

    def start_worker(self) -> None:
        """The work loop."""
        self._start("worker", "manage.py", "worker")

    def start_web(self) -> None:
        """Pages and sockets."""
        listen = ["--bind", "127.0.0.1", "--port", str(self.port), "--verbosity", "0"]
        self._start("web", "-m", "daphne", *listen, "palette.asgi:application")

    def wait_until_ready(self) -> None:
        """Until the web server answers and says that it is ready."""
        wait_for(lambda: answers(f"{self.url}/readyz"), seconds=READY_SECONDS, what=self.log)

    def kill(self, name: str) -> None:
        """End `sandbox`, `worker` or `web` as a machine's failure would: at once, without a word."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End everything that still runs."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def log(self) -> str:
        """What all processes have said so far."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )


def answers(address: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_for(condition: Callable[[], bool], *, seconds: float, what: Callable[[], str] = lambda: "") -> None:
    """Until `condition` holds; fails after `seconds`, saying `what` there is to say."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"waited {seconds:g} s in vain\n{what()}"
        time.sleep(0.05)


@contextmanager
def scratch_database(address: str) -> Iterator[str]:
    """An empty database beside the one of `address`, dropped in the end; its address."""
    name = f"studio_{uuid.uuid4().hex[:12]}"
    server = urlsplit(address)._replace(scheme="postgres", path="/postgres")
    with psycopg.connect(server.geturl(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield server._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server.geturl(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
