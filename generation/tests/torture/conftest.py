"""The stage of every row: processes of the product on the test's database, and the table of what was seen."""

import json
import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from gallery.tests.s3server import S3Server
from generation.sandbox.running import RunningSandbox
from generation.tests.torture import surroundings
from generation.tests.torture.daily import DAILY, DAILY_ON_SERVICES
from generation.tests.torture.scene import Scene
from generation.tests.torture.surroundings import TOKEN, Web
from generation.tests.torture.tcpfault import TcpFault


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DATA_DIR of all processes of this run."""
    return tmp_path_factory.mktemp("torture")


@pytest.fixture
def data_dir(folder: Path, settings: Settings) -> Path:
    """In place of a test's own folder: what the processes use."""
    settings.DATA_DIR = folder
    settings.ASSETS_DIR = folder / "assets"
    settings.SPOOL_DIR = folder / "spool"
    settings.EMAIL_FILE_PATH = str(folder / "mail")
    local = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(folder / "assets")}}
    settings.STORAGES = settings.STORAGES | {"assets": local}
    for name in ("assets", "spool", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return folder


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for all rows of a process."""
    with RunningSandbox(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture
def sandbox(provider: RunningSandbox, settings: Settings) -> RunningSandbox:
    """The provider, without faults, and as if it had never been asked anything."""
    provider.forget_everything()
    settings.PROVIDER = "replicate"
    settings.REPLICATE_API_TOKEN = TOKEN
    settings.PROVIDER_URL = provider.url
    settings.SITE_DAILY_USD_MICROS = settings.SITE_MONTHLY_USD_MICROS = None
    return provider


@pytest.fixture(scope="session")
def bucket(s3: S3Server) -> S3Server:
    """A bucket of this process's own, since others test at the same server."""
    name = f"torture-{os.getpid()}"
    s3.client().create_bucket(Bucket=name)
    return replace(s3, bucket=name)


def empty(server: S3Server) -> None:
    """No object is left of the row before."""
    client = server.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=server.bucket):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=server.bucket, Key=item["Key"])


@pytest.fixture
def on_s3(bucket: S3Server, data_dir: Path, settings: Settings) -> S3Server:
    """Assets are kept at the S3 server in this row, also where everything else is embedded."""
    empty(bucket)
    settings.STORAGES = settings.STORAGES | {"assets": bucket.storage()}
    return bucket


@pytest.fixture
def in_store(request: pytest.FixtureRequest, settings: Settings) -> None:
    """On services assets are kept at the S3 server in every row."""
    if connection.vendor == "postgresql":
        request.getfixturevalue("on_s3")


@pytest.fixture(scope="session")
def webs() -> Iterator[dict[str, Web]]:
    """Web processes that serve several rows, by where their assets are."""
    started: dict[str, Web] = {}
    yield started
    for web in started.values():
        web.kill()


@pytest.fixture
def scene(
    transactional_db: None, in_store: None, sandbox: RunningSandbox, webs: dict[str, Web], folder: Path
) -> Iterator[Scene]:
    """The stage: a web process answers, no worker works yet."""
    environment = surroundings.environment(folder, sandbox.url)
    web = webs.get(key := environment.get("S3_BUCKET", ""))
    if web is None or web.state() not in "RS":
        web = webs[key] = Web(folder, environment).start()
    scene = Scene(folder=folder, web=web, sandbox=sandbox, environment=environment)
    with scene.held:
        yield scene


@pytest.fixture
def spoiled_provider(scene: Scene) -> Iterator[TcpFault]:
    """The workers of this row reach the provider through a proxy; webhooks name the files without it."""
    with TcpFault(scene.sandbox.url) as proxy:
        scene.environment["REPLICATE_BASE_URL"] = proxy.url
        scene.environment["REPLICATE_OUTPUT_HOSTS"] = scene.sandbox.url.partition("//")[2]
        yield proxy


@pytest.fixture
def spoiled_store(on_s3: S3Server, scene: Scene) -> Iterator[TcpFault]:
    """The workers of this row reach the store through a proxy."""
    with TcpFault(on_s3.endpoint_url) as proxy:
        scene.environment["S3_ENDPOINT_URL"] = proxy.url
        yield proxy


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before anything is deselected: what is not for every day, on one of the two databases, is torture."""
    here = [item for item in items if item.get_closest_marker("row")]
    for item in here:
        if item.name not in (DAILY if connection.vendor == "sqlite" else DAILY_ON_SERVICES):
            item.add_marker(pytest.mark.torture)
    whole = {path.name for path in Path(__file__).parent.glob("test_*.py")} <= {item.path.name for item in here}
    if whole and (unknown := (DAILY | DAILY_ON_SERVICES) - {item.name for item in here}):
        raise pytest.UsageError(f"daily.py names tests that are gone: {sorted(unknown)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Each test of a row adds a line to the file that TORTURE_REPORT names."""
    report: Any = yield
    path = os.environ.get("TORTURE_REPORT")
    marker = item.get_closest_marker("row")
    if path and marker and (call.when == "call" or (call.when == "setup" and not report.passed)):
        scene = getattr(item, "funcargs", {}).get("scene")
        line = {
            "row": marker.args[0],
            "test": item.name,
            "where": connection.vendor,
            "outcome": report.outcome,
            "seconds": round(report.duration, 1),
            "seen": "; ".join(scene.seen) if isinstance(scene, Scene) else "",
        }
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")
    return report
