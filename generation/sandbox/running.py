"""The sandbox inside a test or a benchmark: real HTTP on a free port, faults and log one call away."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from generation.sandbox.server import RETENTION_SECONDS, Sandbox
from generation.sandbox.state import Prediction


class RunningSandbox:
    """A sandbox in threads of this process, started by entering the context (or `start`).

    `data_dir` is its own folder and may be used by a later one, which takes up everything. `speed` as in
    `manage.py sandbox`. `url` is its origin; give it to whatever speaks to the provider.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        speed: str = "instant",
        port: int = 0,
        retention_seconds: float = RETENTION_SECONDS,
    ) -> None:
        self.data_dir, self.speed, self.retention_seconds = data_dir, speed, retention_seconds
        self.sandbox = Sandbox(data_dir, speed=speed, port=port, retention_seconds=retention_seconds)
        self.started = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Begin to answer."""
        self.sandbox.start()
        self.started = True
        return self

    def stop(self) -> None:
        """Hang up on everybody and stop, wherever things stand."""
        if self.started:
            self.started = False
            self.sandbox.stop()

    def restart(self) -> None:
        """Stop abruptly and come back on the same port with everything that was kept."""
        port = self.sandbox.port
        self.stop()
        self.sandbox = Sandbox(self.data_dir, speed=self.speed, port=port, retention_seconds=self.retention_seconds)
        self.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`, without `/v1`."""
        return self.sandbox.url

    @property
    def secret(self) -> str:
        """The account's `whsec_…`."""
        return self.sandbox.secret

    def add_fault(
        self,
        fault: dict[str, Any],
        *,
        prompt_contains: str | None = None,
        model: str | None = None,
        call: str | Sequence[str] = "create",
        times: int | None = 1,
        skip: int = 0,
    ) -> None:
        """Let the next matching calls go wrong, e.g. `{"answer": {"kind": "lost"}}`; raises `faults.BadRule`."""
        match: dict[str, Any] = {"call": call}
        if prompt_contains is not None:
            match["prompt_contains"] = prompt_contains
        if model is not None:
            match["model"] = model
        self.sandbox.faults.add({"match": match, "times": times, "skip": skip, "fault": fault})

    def clear_faults(self) -> None:
        """Let everything go well again."""
        self.sandbox.faults.clear()

    def log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What happened, oldest first: entries of kind create, cancel, list, get, upload, delivery, webhook, …"""
        return self.sandbox.store.log(kind)

    def drop_webhooks(self) -> None:
        """Forget webhooks that wait for another try, so that those of one test do not reach the next."""
        self.sandbox.store.drop_deliveries()

    def forget_everything(self) -> None:
        """As if it had just been set up."""
        self.clear_faults()
        self.drop_webhooks()
        self.forget_predictions()
        self.clear_log()

    def lapse(self, seconds: float) -> None:
        """As if so much time had passed since everything that was done."""
        self.sandbox.store.let_pass(seconds)

    def forget_predictions(self) -> None:
        """As if it had never been asked anything; what still runs ends unheard."""
        self.sandbox.timetable.clear()
        self.sandbox.store.forget_predictions()

    def clear_log(self) -> None:
        """Forget what happened."""
        self.sandbox.store.clear_log()

    def predictions(self) -> list[Prediction]:
        """All predictions, newest first."""
        return [item for _, item in self.sandbox.store.page(limit=-1, since=0.0, until=1e12)]

    def prediction(self, id: str) -> Prediction:
        """The prediction of that id; raises KeyError."""
        found = self.sandbox.store.get(id)
        if found is None:
            raise KeyError(id)
        return found

    def erase(self, id: str) -> None:
        """Let a prediction's hour be over now."""
        self.sandbox.engine.erase(id)

    def wait_until(self, condition: Callable[[], object], *, seconds: float = 60.0) -> None:
        """Sleep until `condition()` is true, looked at whenever the sandbox's state changes; raises TimeoutError."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError("the sandbox never came to that state")
            with self.sandbox.store.changed:
                self.sandbox.store.changed.wait(0.02)
