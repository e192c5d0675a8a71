"""When things happen: believable durations, and one thread that keeps the appointments."""

import heapq
import itertools
import logging
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from generation.sandbox.state import StoreClosed

logger = logging.getLogger(__name__)

# Medians of real runs (image: nano-banana, video: seedance-1-lite), and what one has patience for on a desk.
REAL_SECONDS = {"image": 10.5, "video": 38.0}
FAST_SECONDS = {"image": 3.0, "video": 6.0}
QUEUED_SHARE = 0.12


class BadSpeed(ValueError):
    """A speed that is neither a word we know nor a positive number."""


@dataclass(frozen=True)
class Pace:
    """How long runs take: `fast`, `real`, `instant`, or a number (that many times faster than real)."""

    word: str

    def __post_init__(self) -> None:
        if self.word in {"fast", "real", "instant"}:
            return
        try:
            factor = float(self.word)
        except ValueError:
            factor = 0.0
        if not 0 < factor < 1e6:
            raise BadSpeed(f"speed is fast, real, instant or a positive number, not {self.word!r}")

    @property
    def instant(self) -> bool:
        """Whether runs end at once and pictures are small ones from a cache."""
        return self.word == "instant"

    def seconds(self, kind: str, id: str) -> tuple[float, float]:
        """Planned (queued, running) seconds of one run; some take a little longer than others."""
        if self.instant:
            return 0.0, 0.0
        if self.word in {"fast", "real"}:
            usual = (FAST_SECONDS if self.word == "fast" else REAL_SECONDS)[kind]
        else:
            usual = REAL_SECONDS[kind] / float(self.word)
        total = usual * (0.85 + 0.3 * (zlib.crc32(id.encode()) % 1000) / 1000)
        return round(total * QUEUED_SHARE, 3), round(total * (1 - QUEUED_SHARE), 3)


class Timetable:
    """Calls functions at their time (seconds since 1970), one after the other, in a thread of its own."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.wake = threading.Condition()
        self.stopped = False
        self.thread = threading.Thread(target=self.run, name="sandbox-timetable", daemon=True)

    def start(self) -> None:
        """Begin to keep appointments."""
        self.thread.start()

    def stop(self) -> None:
        """Keep no more of them."""
        with self.wake:
            self.stopped = True
            self.wake.notify()
        if self.thread.is_alive():
            self.thread.join(5)

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Have `act` called at `when`, or at once if that is past. It must be quick."""
        with self.wake:
            heapq.heappush(self.heap, (when, next(self.numbers), act))
            self.wake.notify()

    def clear(self) -> None:
        """Forget all of them."""
        with self.wake:
            self.heap.clear()

    def run(self) -> None:
        """The thread's life."""
        while True:
            with self.wake:
                while not self.stopped and (not self.heap or self.heap[0][0] > time.time()):
                    # Looked at anew at least each second: the wall clock may be set while we sleep.
                    self.wake.wait(min(1.0, max(0.0, self.heap[0][0] - time.time())) if self.heap else None)
                if self.stopped:
                    return
                act = heapq.heappop(self.heap)[2]
            try:
                act()
            except StoreClosed:
                return
            except Exception:
                logger.exception("the sandbox missed a step")
