"""A sandbox for each test and a client that knows its way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from generation.sandbox.running import RunningSandbox

Start = Callable[..., RunningSandbox]
IMAGE = "/v1/models/google/nano-banana/predictions"
VIDEO = "/v1/models/bytedance/seedance-1-lite/predictions"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sandbox with the given options; all are stopped at the end."""
    started: list[RunningSandbox] = []

    def begin(**options: Any) -> RunningSandbox:
        started.append(RunningSandbox(tmp_path / "sandbox", **options).start())
        return started[-1]

    yield begin
    for running in started:
        running.stop()


@pytest.fixture
def running(start: Start) -> RunningSandbox:
    """One that answers at once."""
    return start()


@pytest.fixture
def http(running: RunningSandbox) -> Iterator[httpx.Client]:
    """A client of `running` with a token."""
    with client_of(running) as client:
        yield client


def client_of(running: RunningSandbox) -> httpx.Client:
    """A client with a token and kept connections."""
    return httpx.Client(base_url=running.url, headers={"authorization": "Bearer r8_any"}, timeout=10)


def create(client: httpx.Client, prompt: str = "a quiet lake", *, path: str = IMAGE, **more: Any) -> dict[str, Any]:
    """A prediction created without waiting; `headers`, `input` and body keys as needed."""
    headers = more.pop("headers", {})
    body = {"input": {"prompt": prompt, **more.pop("input", {})}, **more}
    answer = client.post(path, json=body, headers=headers)
    assert answer.status_code in {201, 202}, answer.text
    made: dict[str, Any] = answer.json()
    return made


def ended(client: httpx.Client, prompt: str = "a quiet lake", **more: Any) -> dict[str, Any]:
    """A prediction waited for."""
    return create(client, prompt, headers={"prefer": "wait", **more.pop("headers", {})}, **more)
