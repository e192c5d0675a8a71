"""The work loop: claims due rows lane by lane, does each in a thread, renews what is held, stops without dropping."""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.log_context import about
from gallery.leases import RENEWAL_SECONDS, Leased, drop_after_crash, hand_back, renew
from generation.live.changes import Watch
from generation.models import Prediction
from generation.work.chores import chores
from generation.work.due import Due
from generation.work.lanes import LANES, NAMES, Lane

log = logging.getLogger(__name__)

# The longest pause between two looks at what is due; a change in the database ends it at once.
IDLE_SECONDS = 0.5
CHORES_SECONDS = 15.0
# At first they come sooner, twice as long after each time: what a young installation has to learn of its provider (how
# it signs) is not to wait so long because both were started together.
FIRST_CHORES_SECONDS = 1.0
GRACE_SECONDS = 20.0


class Loop:
    """One worker process. `run` blocks until `stop` is called from a signal handler or another thread."""

    def __init__(self, names: Collection[str] = NAMES) -> None:
        self._lanes = [lane for lane in LANES if lane.name in names]
        self._chores = "chores" in names
        self._due: Due | None = None
        self._stopping = threading.Event()
        self._held: dict[Future[None], tuple[Lane, Leased]] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Claim nothing more; what is being done is finished or handed back."""
        self._stopping.set()

    def run(self) -> bool:
        """Work until stopped; False when some work would not end in time."""
        pools = {lane.name: ThreadPoolExecutor(lane.concurrency, thread_name_prefix=lane.name) for lane in self._lanes}
        threading.Thread(target=self._keep_renewing, name="renewal", daemon=True).start()
        if self._chores:
            threading.Thread(target=self._keep_house, name="chores", daemon=True).start()
        watch = Watch()
        try:
            while not self._stopping.is_set():
                self._hand_out(pools)
                watch.wait(IDLE_SECONDS)
        finally:
            watch.close()
            done = self._wind_down(pools)
        return done

    def _hand_out(self, pools: dict[str, ThreadPoolExecutor]) -> None:
        try:
            self._due = self._due or Due(self._lanes)
            lanes = self._due.look()
        except Exception as error:
            log.warning("nobody could look for work: %s", type(error).__name__)
            with suppress(Exception):
                connection.close()
            return
        for lane in lanes:
            with self._lock:
                busy = sum(1 for held_lane, _ in self._held.values() if held_lane is lane)
            if (room := lane.concurrency + lane.ahead - busy) < 1:
                continue
            try:
                rows = lane.claim(room)
            except Exception as error:
                # The database is away for a while, in one of the many ways in which drivers say so.
                log.warning("lane %s could not look for work: %s", lane, type(error).__name__)
                with suppress(Exception):
                    connection.close()
                continue
            for row in rows:
                with self._lock:
                    future = pools[lane.name].submit(do, lane, row)
                    self._held[future] = (lane, row)
                future.add_done_callback(self._let_go)

    def _let_go(self, future: Future[None]) -> None:
        with self._lock:
            self._held.pop(future, None)

    def _keep_renewing(self) -> None:
        while True:
            time.sleep(RENEWAL_SECONDS)
            with self._lock:
                rows = [row for _, row in self._held.values()]
            for row in rows:
                try:
                    renew(row)
                except Exception as error:
                    log.warning("a lease could not be renewed: %s", type(error).__name__)
            with suppress(Exception):
                connection.close()

    def _keep_house(self) -> None:
        """The chores have a thread of their own: some of them wait for the provider."""
        pause = FIRST_CHORES_SECONDS
        while not self._stopping.is_set():
            try:
                chores()
            except Exception:
                log.exception("the chores were left undone")
            with suppress(Exception):
                connection.close()
            self._stopping.wait(pause)
            pause = min(2 * pause, CHORES_SECONDS)

    def _wind_down(self, pools: dict[str, ThreadPoolExecutor]) -> bool:
        """Hand back at once what no thread has begun, and give the rest a moment to finish; False if it did not."""
        for future, (_, row) in self._still_held():
            if future.cancel():
                _hand_back_quietly(row)
        ends_at = time.monotonic() + GRACE_SECONDS
        while self._still_held() and time.monotonic() < ends_at:
            time.sleep(0.05)
        late = self._still_held()
        for _, (lane, row) in late:
            # A create in flight keeps its lease to the end: nobody else may take it for unsent.
            if lane.name != "submit":
                _hand_back_quietly(row)
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        return not late

    def _still_held(self) -> list[tuple[Future[None], tuple[Lane, Leased]]]:
        with self._lock:
            return list(self._held.items())


def _hand_back_quietly(row: Leased) -> None:
    try:
        hand_back(row, due_at=row.due_at)
    except DatabaseError:
        log.warning("row %s stays leased until its lease ends", row.pk)


def do(lane: Lane, row: Any) -> None:
    """Take one step; work that raises keeps its row due and brings it nearer to quarantine."""
    with about(row.pk if isinstance(row, Prediction) else getattr(row, "prediction_id", None)):
        _do(lane, row)


def _do(lane: Lane, row: Any) -> None:
    try:
        lane.step(row)
    except Exception:
        log.exception("lane %s failed at row %s", lane, row.pk)
        try:
            drop_after_crash(row, due_at=timezone.now() + timedelta(seconds=2 ** min(row.claims, 6)))
        except DatabaseError:
            log.warning("row %s stays leased until its lease ends", row.pk)
    finally:
        if connection.vendor != "sqlite" and not connection.in_atomic_block:
            connection.close()


def run_once(lanes: Sequence[Lane] = LANES) -> int:
    """Do everything that is due now, in this thread; returns how many rows. For tests and for `reconcile`."""
    done = 0
    for lane in lanes:
        for row in lane.claim(lane.concurrency):
            do(lane, row)
            done += 1
    return done


def run_until_quiet(timeout_seconds: float = 30.0) -> bool:
    """Work in this thread until no prediction is unfinished and nothing is due; False when time ran out."""
    ends_at = time.monotonic() + timeout_seconds
    while time.monotonic() < ends_at:
        if not run_once() and not Prediction.objects.unfinished().exists():
            return True
        time.sleep(0.02)
    return False
