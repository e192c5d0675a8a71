"""Of which request and which prediction a log line speaks: set where work begins, read where lines are written."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

REQUEST: Final[ContextVar[str]] = ContextVar("request", default="")
PREDICTION: Final[ContextVar[str]] = ContextVar("prediction", default="")


@contextmanager
def about(prediction: object) -> Iterator[None]:
    """Lines written inside speak of this prediction; of None or nothing, of none."""
    token = PREDICTION.set(str(prediction or ""))
    try:
        yield
    finally:
        PREDICTION.reset(token)


def named() -> dict[str, str]:
    """What is known at this moment, by name; both are ids of ours and nobody's words."""
    known = {"request": REQUEST.get(), "prediction": PREDICTION.get()}
    return {name: value for name, value in known.items() if value}
