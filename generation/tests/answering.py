"""A provider of which a test says what it does, and the lanes one at a time."""

from collections.abc import Callable
from typing import Any

from generation.work.lanes import LANES

LANE = {lane.name: [lane] for lane in LANES}


class Answering:
    """Each call is the function of that name that it was made with."""

    name = "sandbox"

    def __init__(self, **calls: Callable[..., Any]) -> None:
        self.calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self.calls[name]


def raising(error: Exception) -> Callable[..., Any]:
    """A call that fails."""

    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call
