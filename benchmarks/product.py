"""The product as an operator starts it: by the Procfile's commands, with documented variables only."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.place import Place
from benchmarks.processes import CLIENT_CORES, ROOT, free_port, process, procfile, surroundings, wait_for

# For what asks for more than one user may.
UNLIMITED = {
    **dict.fromkeys(("DAILY_COUNT", "MONTHLY_COUNT"), "1000000"),
    **dict.fromkeys(("DAILY_USD", "MONTHLY_USD", "SITE_DAILY_USD", "SITE_MONTHLY_USD"), "none"),
    **dict.fromkeys(("MAX_QUEUED", "MAX_QUEUED_PER_USER"), "1000000"),
    "MAX_IN_FLIGHT_PER_USER": "50",
}

# What a proxy that ends TLS tells of each request.
BY_PROXY = {"X-Forwarded-Proto": "https"}


@dataclass(frozen=True)
class Person:
    """A user: a token that may do everything, and the cookie of an open session."""

    token: str
    session: str

    @property
    def bearer(self) -> dict[str, str]:
        """The header of a program."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def cookie(self) -> dict[str, str]:
        """The header of a browser."""
        return {"Cookie": self.session}


@dataclass
class Product:
    """A running product: where it and its provider listen, what it was started with, and its processes by name."""

    url: str
    provider_url: str
    folder: Path
    environment: Mapping[str, str]
    processes: Mapping[str, subprocess.Popen[bytes]]

    @cached_property
    def person(self) -> Person:
        """Somebody."""
        return people(self, 1)[0]

    def pids(self, *names: str) -> list[int]:
        """Of `web`, `worker`, `provider`."""
        return [self.processes[name].pid for name in names]


@contextmanager
def running_product(
    place: Place,
    name: str,
    variables: Mapping[str, str] | None = None,
    *,
    cores: list[int] | None = None,
    speed: str = "instant",
) -> Iterator[Product]:
    """Sandbox as the provider, at once and with small pictures, web and worker; all of it is gone afterwards.

    `variables` are documented ones; of the limits only the rate of creates is lifted for everybody.
    """
    folder, found = place.new(name)
    provider_port, port = free_port(), free_port()
    url, provider_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{provider_port}"
    environment = surroundings() | found
    sandbox = f"python manage.py sandbox --quiet --speed {speed} --port {provider_port}"
    with ExitStack() as running:
        processes = {"provider": running.enter_context(process(sandbox, environment, folder, cores=CLIENT_CORES))}
        wait_for(f"{provider_url}/sandbox/log")
        environment |= {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PUBLIC_URL": url,
            "REPLICATE_BASE_URL": provider_url,
            "REPLICATE_API_TOKEN": "r8_benchmark",
            "CREATES_PER_MINUTE": "1000000",
            **(variables or {}),
        }
        try:
            for program in ("web", "worker"):
                started = process(procfile()[program], environment, folder, cores=cores)
                processes[program] = running.enter_context(started)
            wait_for(f"{url}/readyz")
            yield Product(url, provider_url, folder, environment, processes)
        except Exception:
            sys.stderr.write((folder / "processes.log").read_text(errors="replace")[-4000:])
            raise


def in_production(place: Place, url: str) -> dict[str, str]:
    """Variables of a site at the https `url`, whose static files `release` has collected: one sheet, named by content.

    Requests have to come with `BY_PROXY`.
    """
    folder, _ = place.empty
    variables = {"PUBLIC_URL": url, "SECRET_KEY": secrets.token_urlsafe(64), "TRUSTED_PROXIES": "127.0.0.1"}
    environment = surroundings() | variables | {"DATA_DIR": str(folder), "REPLICATE_API_TOKEN": "r8_benchmark"}
    command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return variables


def people(product: Product, count: int) -> list[Person]:
    """So many new users."""
    command = [sys.executable, "-m", "benchmarks.people", str(count)]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(product.environment), check=True, stdout=subprocess.PIPE, text=True
    )
    return [Person(**found) for found in json.loads(done.stdout)]
