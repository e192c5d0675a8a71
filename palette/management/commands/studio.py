"""`manage.py studio`, which is `make run`: prepares the machine, then keeps every process of the product running."""

import argparse
import asyncio
import errno
import fcntl
import http.client
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections
from django.utils import timezone

from accounts.demo import ensure_demo_account
from palette.supervisor import Program, Supervisor, end_with_parent

READY_WITHIN_SECONDS = 120.0
# Daphne counts the whole answer: a film on a slow line has this long, then the browser asks for the rest.
HTTP_TIMEOUT_SECONDS = 600
# Daphne's own five would cut off, on a busy machine, whom it then sees come back at once.
SOCKET_OPENS_WITHIN_SECONDS = 30


class Command(BaseCommand):
    """Migrates, makes the demo account, starts sandbox (without a key), worker and web, and says when it is ready.

    In production it makes no account.
    """

    help = "Start the whole product on this machine."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How it is tied to what started it."""
        parser.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM."""
        if options["with_parent"]:
            end_with_parent(signal.SIGTERM, os.getppid())
        # Started from elsewhere, the children still find the code.
        os.chdir(settings.BASE_DIR)
        with ExitStack() as held:
            held.enter_context(only_one_in(settings.DATA_DIR))
            require_free(settings.HOST, settings.PORT)
            asyncio.run(self.run())

    async def run(self) -> None:
        """Start in the order of need: the sandbox comes up while the database is prepared."""
        supervisor = Supervisor()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
        finished = asyncio.create_task(supervisor.finished())
        try:
            surroundings = start_sandbox(supervisor) if settings.PROVIDER == "sandbox" else {}
            demo = await asyncio.to_thread(prepare)
            supervisor.start(Program("worker", manage("worker"), surroundings))
            supervisor.start(Program("web", web_command(), surroundings))
            if await is_ready(supervisor):
                self.stdout.write(welcome(demo))
                self.stdout.flush()
            await supervisor.stopping.wait()
        finally:
            supervisor.stop()
            await finished


def only_one_in(folder: Path) -> IO[str]:
    """Make `folder`, readable by its owner only, and hold its lock until the file is closed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    lock = (folder / "studio.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise CommandError(
            f"Directors Palette is already running in {folder}; stop it first, or give this copy a DATA_DIR of its own."
        ) from None
    return lock


def require_free(host: str, port: int) -> None:
    """A socket left by a process that was killed a moment ago is given a second to go."""
    until = time.monotonic() + 1
    while not can_listen(host, port):
        if time.monotonic() > until:
            raise CommandError(f"Port {port} on {host} is taken; stop what listens there, or choose another PORT.")
        time.sleep(0.1)


def can_listen(host: str, port: int) -> bool:
    """Whether a server may open this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise CommandError(
                f"HOST {host} and PORT {port} cannot be listened on here: {error.strerror or error}."
            ) from None
    return True


def start_sandbox(supervisor: Supervisor) -> dict[str, str]:
    """Start the bundled provider; returns what the others must know to find it."""
    port = sandbox_port(settings.DATA_DIR / "sandbox.port")
    surroundings = {"SANDBOX_URL": f"http://127.0.0.1:{port}"}
    supervisor.start(Program("sandbox", manage("sandbox", "--quiet", "--port", str(port)), surroundings))
    return surroundings


def sandbox_port(kept: Path) -> int:
    """The port of the last start if it is free, because unfinished predictions name it in their addresses."""
    # None was kept yet, or what is there is no port.
    with suppress(OSError, ValueError, OverflowError):
        port = int(kept.read_text())
        if can_listen("127.0.0.1", port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    kept.write_text(str(port))
    return port


def prepare() -> tuple[str, str | None] | None:
    """Bring the database up to date; the demo account's name, and its password if it was made just now.

    None in production, where nobody has asked for an account that may spend.
    """
    try:
        call_command("migrate", verbosity=0, interactive=False)
        if settings.PRODUCTION:
            call_command("collectstatic", verbosity=0, interactive=False)
            return None
        return ensure_demo_account(now=timezone.now())
    except DatabaseError as error:
        raise CommandError(f"The database of DATABASE_URL cannot be used: {str(error).strip()}") from error
    finally:
        connections.close_all()


def manage(*words: str) -> list[str]:
    """A management command in a process of its own."""
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *words]


def web_command() -> list[str]:
    """Daphne without an access log: cards ask again and again."""
    listen = ["--bind", settings.HOST, "--port", str(settings.PORT)]
    limits = ["--http-timeout", str(HTTP_TIMEOUT_SECONDS), "--verbosity", "0"]
    limits += ["--websocket_connect_timeout", str(SOCKET_OPENS_WITHIN_SECONDS)]
    return [sys.executable, "-m", "daphne", *listen, *limits, "palette.asgi:application"]


async def is_ready(supervisor: Supervisor) -> bool:
    """Wait until the process and a page answer; False when we are told to stop before."""
    until = time.monotonic() + READY_WITHIN_SECONDS
    while not supervisor.stopping.is_set():
        if await asyncio.to_thread(lambda: answers("/healthz") and answers("/accounts/login/")):
            return True
        if time.monotonic() > until:
            raise CommandError("The web process does not answer; what it printed above says why.")
        await asyncio.sleep(0.1)
    return False


def answers(path: str) -> bool:
    """Whether the web process says anything but an error of its own."""
    # Who listens on every address answers on the loopback one.
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (looked at, not listened on)  # nosec B104
    host = every.get(settings.HOST, settings.HOST)
    name = next((name for name in settings.ALLOWED_HOSTS if "*" not in name), host)
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": name.removeprefix(".")})
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def welcome(demo: tuple[str, str | None] | None) -> str:
    """What a newcomer needs to read, and one line for machines."""
    host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
    manage_py = f"{sys.executable} manage.py"
    if demo is None:
        lines = [f"An administrator's account: {manage_py} createsuperuser"]
    else:
        username, password = demo
        lines = [f"Demo account: {username}", f"A new password: {manage_py} changepassword {username}"]
        if password is not None:
            lines.insert(1, f"Its password, shown only now: {password}")
    return "\n".join([*lines, f"Directors Palette is ready: http://{host}:{settings.PORT}"])
