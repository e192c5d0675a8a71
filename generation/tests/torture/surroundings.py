"""The product's processes as operators start them, on the database, the store and the sandbox of the test."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import pytest
from django.conf import settings

from generation.tests.processes import ROOT, database_url
from generation.tests.running_studio import READY_SECONDS, answers, wait_for
from palette.environment import VARIABLES
from palette.tests.ports import free_port

# Must appear in no log line, page or database column.
TOKEN = "r8_canaryCanaryCanaryCanaryCanaryCanary01"
PROMPT = "zebracanary"
LIBRARIES, FAKETIME = Path("/usr/lib"), "*/faketime/libfaketime.so.1"


def environment(folder: Path, provider_url: str, **more: str) -> dict[str, str]:
    """A studio with a key, whose Replicate is the sandbox; nothing of the caller's own settings but its services."""
    services = {name: value for name, value in os.environ.items() if name in {"REDIS_URL"}}
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    store = settings.STORAGES["assets"].get("OPTIONS", {})
    s3 = {
        "S3_ENDPOINT_URL": "endpoint_url",
        "S3_BUCKET": "bucket_name",
        "S3_ACCESS_KEY_ID": "access_key",
        "S3_SECRET_ACCESS_KEY": "secret_key",
    }
    return (
        kept
        | services
        | {name: str(store[option]) for name, option in s3.items() if option in store}
        | {
            "DJANGO_SETTINGS_MODULE": "palette.settings",
            "DATABASE_URL": database_url(),
            "DATA_DIR": str(folder),
            "SECRET_KEY": settings.SECRET_KEY,
            "REPLICATE_API_TOKEN": TOKEN,
            "REPLICATE_BASE_URL": provider_url,
            "CREATES_PER_MINUTE": "60000",
            "SITE_DAILY_USD": "none",
            "SITE_MONTHLY_USD": "none",
            "LOG_LEVEL": "info",
            "PYTHONUNBUFFERED": "1",
        }
        | more
    )


class Process:
    """One process of the product, its log beside it; killed at the end of the context if it still lives."""

    def __init__(self, name: str, folder: Path, surroundings: dict[str, str], *words: str) -> None:
        self.name, self.surroundings = name, surroundings
        self.command = [sys.executable, *words]
        # Descriptors that it takes over.
        self.fds: tuple[int, ...] = ()
        self.log_path = folder / "logs" / f"{name}-{free_port()}.log"
        self.log_path.parent.mkdir(exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Begin; once only."""
        assert self.process is None, f"{self.name} runs already"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.surroundings, stdout=log, stderr=log, pass_fds=self.fds
            )
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Of the process; raises ProcessLookupError of one that is about to be started, in the place of another."""
        if self.process is None:
            raise ProcessLookupError(f"{self} has not begun")
        return self.process.pid

    def kill(self) -> None:
        """As a machine's failure would: at once, without a word."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self, seconds: float = 40) -> int:
        """Ask it to end, as a deployment does; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens to one that has ended."""
        with suppress(ProcessLookupError):
            if self.process is not None and self.process.poll() is None:
                self.process.send_signal(number)

    def wait(self, seconds: float = 40) -> int:
        """Until it has ended; its exit code (negative: the signal)."""
        assert self.process is not None
        return self.process.wait(seconds)

    def state(self) -> str:
        """The kernel's letter: R and S while it runs, T while it is stopped, X when it is gone."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "X"

    def open_files(self) -> int:
        """How many descriptors it holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def memory_bytes(self) -> int:
        """Its resident set."""
        return resident_bytes(self.pid)

    def log(self) -> str:
        """What it has said so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def worker(folder: Path, surroundings: dict[str, str], *, lanes: str = "") -> Process:
    """`manage.py worker`."""
    return Process("worker", folder, surroundings, "manage.py", "worker", *(["--lanes", lanes] if lanes else []))


class Web(Process):
    """Daphne on a port of its own, answering when the context begins; its own address is its PUBLIC_URL."""

    def __init__(self, folder: Path, surroundings: dict[str, str], *, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        listen = ["--bind", "127.0.0.1", "--port", str(self.port), "--verbosity", "0"]
        named = surroundings | {"PORT": str(self.port), "PUBLIC_URL": self.url}
        super().__init__("web", folder, named, "-m", "daphne", *listen, "palette.asgi:application")

    def start(self) -> Self:
        """Begin, and wait for the first answer."""
        super().start()
        wait_for(lambda: answers(f"{self.url}/healthz"), seconds=READY_SECONDS, what=self.log)
        return self


def faked_clock(offset: str) -> dict[str, str]:
    """What shifts a process's clock, e.g. by `+10m`. Needs libfaketime."""
    found = list(LIBRARIES.glob(FAKETIME))
    if not found:
        lacking("libfaketime is not installed (Debian's package faketime)")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": offset}


def lacking(what: str) -> NoReturn:
    """What a row needs is not on this machine: a failure with CI=true, else a skip."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
