"""The work loop: claims due rows lane by lane, does each in a thread, renews what is held, stops without dropping."""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from gallery.leases import RENEWAL_SECONDS, Leased, drop_after_crash, hand_back, renew
from generation.live.changes import Watch
from generation.models import Prediction
from generation.work.chores import chores
from generation.work.lanes import LANES, NAMES, Lane

log = logging.getLogger(__name__)

# The longest pause between two looks at what is due; a change in the database ends it at once.
IDLE_SECONDS = 0.5
CHORES_SECONDS = 15.0
GRACE_SECONDS = 20.0


class Loop:
    """One worker process. `run` blocks until `stop` is called from a signal handler or another thread."""

    def __init__(self, names: Collection[str] = NAMES) -> None:
        self._lanes = [lane for lane in LANES if lane.name in names]
        self._chores = "chores" in names
        self._stopping = threading.Event()
        self._held: dict[Future[None], tuple[Lane, Leased]] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Claim nothing more; what is being done is finished or handed back."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped."""
        pools = {lane.name: ThreadPoolExecutor(lane.concurrency, thread_name_prefix=lane.name) for lane in self._lanes}
        threading.Thread(target=self._keep_renewing, name="renewal", daemon=True).start()
        watch = Watch()
        chores_at = 0.0
        try:
            while not self._stopping.is_set():
                if self._chores and time.monotonic() >= chores_at:
                    self._guarded_chores()
                    chores_at = time.monotonic() + CHORES_SECONDS
                self._hand_out(pools)
                watch.wait(IDLE_SECONDS)
        finally:
            watch.close()
            self._wind_down(pools)

    def _hand_out(self, pools: dict[str, ThreadPoolExecutor]) -> None:
        for lane in self._lanes:
            with self._lock:
                busy = sum(1 for held_lane, _ in self._held.values() if held_lane is lane)
            try:
                rows = lane.claim(lane.concurrency - busy)
            except DatabaseError as error:
                log.warning("lane %s could not look for work: %s", lane, type(error).__name__)
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
                except DatabaseError:
                    log.warning("a lease could not be renewed")
                    connection.close()
            close_old_connections()

    def _guarded_chores(self) -> None:
        try:
            chores()
        except Exception:
            log.exception("the chores were left undone")
            connection.close()

    def _wind_down(self, pools: dict[str, ThreadPoolExecutor]) -> None:
        """Hand back at once what no thread has begun, and give the rest a moment to finish."""
        with self._lock:
            waiting = [row for future, (_, row) in self._held.items() if future.cancel()]
        for row in waiting:
            hand_back(row, due_at=row.due_at)
        ends_at = time.monotonic() + GRACE_SECONDS
        while self._held and time.monotonic() < ends_at:
            time.sleep(0.05)
        for pool in pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def do(lane: Lane, row: Any) -> None:
    """Take one step; work that raises keeps its row due and brings it nearer to quarantine."""
    try:
        lane.step(row)
    except Exception:
        log.exception("lane %s failed at row %s", lane, row.pk)
        try:
            drop_after_crash(row, due_at=timezone.now() + timedelta(seconds=2**row.claims))
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
