"""The product as an operator starts it: by the Procfile's commands, with documented variables only."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from palette.environment import VARIABLES
from palette.supervisor import killed_with

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_SECONDS = 60.0


@dataclass
class Product:
    """A running product: where it listens, a token that may spend, and its surroundings for management commands."""

    url: str
    provider_url: str
    token: str
    environment: Mapping[str, str]


@contextmanager
def running_product(folder: Path, services: Mapping[str, str]) -> Iterator[Product]:
    """Release, sandbox at once-speed as the provider, web and worker; all of it is gone afterwards."""
    provider_port, port = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "PYTHONHASHSEED": "0",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CREATES_PER_MINUTE": "1000000",
        **services,
    }
    sandbox = f"python manage.py sandbox --quiet --speed instant --port {provider_port}"
    provider_url = f"http://127.0.0.1:{provider_port}"
    commands = procfile()
    with ExitStack() as running:
        running.enter_context(process(sandbox, environment, folder))
        environment |= {"REPLICATE_BASE_URL": provider_url, "REPLICATE_API_TOKEN": "r8_benchmark"}
        subprocess.run(["sh", "-c", commands["release"]], cwd=ROOT, env=environment, check=True, capture_output=True)
        for name in ("web", "worker"):
            running.enter_context(process(commands[name], environment, folder))
        wait_for(f"http://127.0.0.1:{port}/readyz")
        yield Product(f"http://127.0.0.1:{port}", provider_url, spender(environment), environment)


def procfile() -> dict[str, str]:
    """Name → command."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines if line)}


@contextmanager
def process(command: str, environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """One process of the Procfile, its output in `folder`, ended kindly and then not."""
    with (folder / "processes.log").open("ab") as output:
        started = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=killed_with(os.getpid()),
        )
    try:
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def spender(environment: Mapping[str, str]) -> str:
    """An API token of a new user."""
    account = {"DJANGO_SUPERUSER_USERNAME": "bench", "DJANGO_SUPERUSER_EMAIL": "bench@example.com"}
    account["DJANGO_SUPERUSER_PASSWORD"] = "not used by anybody"
    manage("createsuperuser --noinput", dict(environment) | account)
    return manage("create_api_token bench", environment).strip()


def manage(words: str, environment: Mapping[str, str]) -> str:
    """Run a management command; returns what it printed."""
    command = [sys.executable, "manage.py", *shlex.split(words)]
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def wait_for(url: str) -> None:
    """Until it answers 200; raises TimeoutError."""
    until = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < until:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reachable_services() -> dict[str, str]:
    """PostgreSQL (a new database beside the one named) and Redis, when the environment names both and they answer."""
    url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
    if not url.startswith("postgres") or not redis_url:
        return {}
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute("DROP DATABASE IF EXISTS palette_bench WITH (FORCE)")
            connection.execute("CREATE DATABASE palette_bench")
    except psycopg.OperationalError:
        return {}
    return {"DATABASE_URL": f"{url.rpartition('/')[0]}/palette_bench", "REDIS_URL": redis_url}
