"""What every test stands on: its own folder, no network beyond this machine, and the sandbox provider."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings as configured_settings
from pytest_django import DjangoDbBlocker, Settings
from redis import Redis

from gallery.tests.s3server import S3Server, configured, s3_server
from generation.sandbox.running import RunningSandbox
from palette.tests.databases import end_other_sessions, hurry_commits, quick_flush
from palette.tests.selection import SERVICES_ONLY, Together, leave_out_the_rest, sort_by_length

# A machine that is busy with other tests makes no example wrong. Every day the same few are tried; `make fuzz` draws.
patient = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("fuzz", patient, max_examples=1000)
hypothesis.settings.register_profile("daily", patient, max_examples=40, derandomize=True, database=None)
hypothesis.settings.load_profile("daily")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make test` asks for when it repeats the tests on services."""
    parser.addoption(SERVICES_ONLY, action="store_true", help="leave out what uses neither database, Redis nor store")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """See `palette.tests.selection`."""
    if config.getoption(SERVICES_ONLY):
        leave_out_the_rest(items, config)
    sort_by_length(items, longest_first=not config.getoption(SERVICES_ONLY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Who runs what, with `-n`."""
    return Together(config, log)


class NetworkClosed(RuntimeError):
    """A test tried to reach another machine."""


def is_here(address: Any) -> bool:
    """Whether a socket address is on this machine; a Unix socket's is a path."""
    if not isinstance(address, tuple):
        return True
    try:
        return ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] in {"", "localhost"}


@pytest.fixture(scope="session", autouse=True)
def closed_network() -> Iterator[None]:
    """Connections leave the tests for loopback addresses only."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            original = getattr(socket.socket, name)

            def guarded(self: socket.socket, address: Any, original: Any = original) -> Any:
                if not is_here(address):
                    raise NetworkClosed(f"a test tried to reach {address!r}")
                return original(self, address)

            patch.setattr(socket.socket, name, guarded)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database that is quick to commit and to empty, and that no forgotten process keeps from being dropped."""
    with django_db_blocker.unblock():
        hurry_commits()
    with quick_flush():
        yield
    with django_db_blocker.unblock():
        end_other_sessions()


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    """A DATA_DIR of the test's own; stored files lie there too unless S3 is configured."""
    settings.DATA_DIR = tmp_path
    settings.ASSETS_DIR = tmp_path / "assets"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    local = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(settings.ASSETS_DIR)},
    }
    settings.STORAGES = settings.STORAGES | {
        "default": local,
        "assets": settings.STORAGES["assets"] if settings.S3_BUCKET else local,
    }
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """Redis has forgotten the test before; the cache in the database goes with its rows."""
    if configured_settings.REDIS_URL:
        with Redis.from_url(configured_settings.REDIS_URL) as redis:
            redis.flushdb()


@pytest.fixture
def in_files(data_dir: Path, settings: Settings) -> None:
    """Assets are files here, whatever is configured: for tests that lay hands on them."""
    settings.STORAGES = settings.STORAGES | {"assets": settings.STORAGES["default"]}
    settings.S3_PUBLIC_URL = ""


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server, one for the whole run: the configured one, or one of our own."""
    with ExitStack() as held:
        yield configured() or held.enter_context(s3_server())


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for all tests of a process; use `sandbox`."""
    with RunningSandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_server: RunningSandbox, settings: Settings) -> RunningSandbox:
    """The bundled provider answering at once over HTTP, without faults, log or rate limit; `settings` lead to it."""
    sandbox_server.clear_faults()
    sandbox_server.drop_webhooks()
    sandbox_server.clear_log()
    settings.PROVIDER = "sandbox"
    settings.SANDBOX_URL = settings.PROVIDER_URL = sandbox_server.url
    settings.REPLICATE_OUTPUT_HOSTS = [sandbox_server.url.removeprefix("http://")]
    settings.CREATES_PER_MINUTE = 60_000
    return sandbox_server
