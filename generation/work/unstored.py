"""What becomes of an output that could not be brought home: it waits, is tried again, or is lost and said to be."""

import errno
import logging
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts import alerts
from gallery.leases import hand_back
from generation import events, lifecycle
from generation.models import Output
from generation.work import spool

log = logging.getLogger(__name__)

# Reasons to wait that are not said of what is lost in the end: by then they mean one of those.
INTERRUPTED, DISK_FULL = "interrupted", "disk_full"
LOST_AS = {INTERRUPTED: "file_expired", DISK_FULL: "storage_unavailable"}
LONGEST_PAUSE_SECONDS = 60
# What the store does not take is sent again when somebody may have raised its limit.
REFUSED_PAUSE_SECONDS = 300
REFUSED = ("storage_unavailable", "file_too_large")


def wait_for_the_store(output: Output) -> None:
    """Leave it to whoever finds the store open again; the hour goes on."""
    code = "storage_unavailable"
    if _is_over(output, code, timezone.now()):
        _lose(output, code, output.tries)
        return
    tries = output.tries if output.error_code == code else 0
    hand_back(output, due_at=timezone.now() + timedelta(seconds=1), error_code=code, tries=tries)


def try_later(output: Output, code: str, *, patience: int | None = None, pause: float = 0, **changes: Any) -> None:
    """Try again in 1, 2, 4 … 60 seconds (not before `pause`), or give the file up.

    That is after `patience` such failures in a row, or when the provider has deleted it, unless it lies in a spool:
    ours, or for a day another host's.
    """
    now = timezone.now()
    tries = output.tries + 1 if output.error_code == code else 1
    out_of_patience = patience is not None and tries >= patience and not _lies_elsewhere(output)
    if out_of_patience or _is_over(output, code, now):
        _lose(output, code, tries)
        return
    seconds = max(pause, min(LONGEST_PAUSE_SECONDS, 2 ** min(tries - 1, 6)))
    hand_back(output, due_at=now + timedelta(seconds=seconds), error_code=code, tries=tries, **changes)


def try_later_for_room(output: Output, error: BaseException | None) -> None:
    """This machine, or the database's, could not write something down: nothing is wrong with the file."""
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    log.error("output %s could not be written down: %s", output.pk, said)
    with suppress(DatabaseError):
        alerts.note("disk_full", f"{socket.gethostname()} could not write a file: {said}", now=timezone.now())
    try_later(output, DISK_FULL)


def is_full(error: BaseException | None) -> bool:
    """Whether this is how the system, SQLite or PostgreSQL say that a disk is full."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, DatabaseError) and any(words in str(error) for words in ("disk is full", "No space left"))


def _lies_elsewhere(output: Output) -> bool:
    return bool(output.spool_host) and output.spool_host != spool.host()


def _is_over(output: Output, code: str, now: datetime) -> bool:
    """Whether nothing is left to wait for: the provider has deleted it, and no spool holds it."""
    if spool.spooled(output):
        return code == "file_too_large" and now >= output.expires_at + spool.KEPT_ELSEWHERE
    return now >= output.expires_at + (spool.KEPT_ELSEWHERE if _lies_elsewhere(output) else timedelta())


def _lose(output: Output, code: str, tries: int) -> None:
    now, code = timezone.now(), LOST_AS.get(code, code)
    with transaction.atomic():
        prediction, outputs = lifecycle.lock_storing(output.prediction_id)
        if not hand_back(output, due_at=None, state=Output.State.LOST, error_code=code, tries=tries):
            return
        events.record(prediction=prediction, name="output_lost", now=now, data={"code": code})
        detail = f"Output {output.index} of prediction {prediction.pk} was paid for and is lost: {code}."
        alerts.note("output_lost", detail, now=now)
        written = Output(pk=output.pk, state=Output.State.LOST, error_code=code)
        lifecycle.conclude(prediction, outputs, now=now, written=written)
    spool.drop(output)
