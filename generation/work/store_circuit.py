"""Whether the store takes files: closed after failures in a row, tried by one file at a time, opened by a success."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.db.models import Exists, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts import alerts
from accounts.statements import Sql, read
from gallery import storage
from gallery.ahead import Ahead
from gallery.faultpoints import faultpoint
from generation.models import Output, StorageState
from generation.work.connections import let_go

STORE = "assets"
# Failures in a row before everybody waits.
PATIENCE = 2
# One file finds out, so a store that is back is in use within five seconds; a key is not mended that fast.
LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_OF_A_REFUSAL = 3, 60
# Longer than a small file's put lasts with all its timeouts: until then nobody else tries.
PROBE = timedelta(seconds=75)
# Our key, our clock or the bucket: nothing that waiting mends, so nobody tries a second time at once.
REFUSALS = frozenset({401, 403, 404})
TOO_LARGE = 413
# What waiting does not mend either, but says nothing of another file, which may fit.
OF_ONE_FILE = {
    402: "it wants to be paid, or its quota is used up",
    403: "it knows our key, but a quota or a rule of the bucket forbids the file",
    TOO_LARGE: "a file is larger than it takes",
    415: "the bucket does not take files of this kind",
    507: "it has no room left",
}


class Closed(Exception):
    """The store takes nothing just now, or somebody else is trying it."""


class Refused(storage.StorageError):
    """The store does not take this one file, and will not until somebody changes something there."""


class Passage:
    """The right to put one file, given while the store takes files or to the one who tries it."""

    def __init__(self, state: StorageState) -> None:
        self._state = state
        self.used = False

    def put(self, *, path: Path, key: str, content_type: str, ahead: Ahead | None = None) -> None:
        """Store the file, or what remains of it when it was sent `ahead`, and let everybody know how that went.

        Raises `StorageError`, `Refused` among them.
        """
        self.used = True
        let_go()
        try:
            if ahead and ahead.key:
                ahead.complete()
            else:
                storage.put(path=path, key=key, content_type=content_type)
        except storage.StorageError as error:
            if _is_of_one_file(error):
                _note_refusal(self._state, error.status or 0)
                raise Refused(str(error), status=error.status) from error
            _note_failure(self._state, error)
            raise
        _note_success(self._state)

    def give_back(self) -> None:
        """It led nowhere: the next one may try at once."""
        _rows().filter(closed_until=self._state.closed_until).update(closed_until=Now())


def is_closed() -> Exists:
    """Whether the store has failed and it is nobody's turn to try it, for a query."""
    return Exists(_rows().filter(closed_until__gt=Now()))


def is_troubled() -> Exists:
    """Whether something has failed there since the last success, for a query."""
    return Exists(_rows().filter(Q(faults__gt=0) | Q(closed_until__isnull=False)))


def is_open() -> bool:
    """Whether the store takes files, as far as we know: nobody waits, and nobody has to try it first."""
    return not read(StorageState, {"store": STORE, "closed_until": Sql("IS NOT NULL")})


@contextmanager
def passage(*, untroubled: bool = False) -> Iterator[Passage]:
    """A passage for one file. Raises `Closed`; of many who come when a closed store may be tried again, one gets it.

    Whoever has just seen it `untroubled` may pass; has it failed since, that is found out by him, too.
    """
    given = Passage(StorageState(store=STORE) if untroubled else _admitted())
    try:
        yield given
    finally:
        if given._state.closed_until and not given.used:
            given.give_back()


def _rows() -> QuerySet[StorageState]:
    return StorageState.objects.filter(store=STORE)


def _admitted() -> StorageState:
    found: list[StorageState] = read(StorageState, {"store": STORE})
    state = found[0] if found else StorageState(store=STORE)
    if state.closed_until is None:
        return state
    if not _rows().filter(closed_until__lte=Now()).update(closed_until=Now() + PROBE):
        raise Closed
    faultpoint("store.probing")
    return _rows().get()


def _is_of_one_file(error: storage.StorageError) -> bool:
    """Whether the store would still take others: of a 403 only where it lets us in otherwise."""
    if error.status not in OF_ONE_FILE:
        return False
    if error.status not in REFUSALS:
        return True
    try:
        storage.check()
    except storage.StorageError:
        return False
    return True


def _note_refusal(state: StorageState, status: int) -> None:
    """Administrators hear the reason at once. The store has answered, so the door stays, or is opened."""
    _note_success(state)
    alerts.note("store_refused", f"The store answers {status}: {OF_ONE_FILE[status]}.", now=timezone.now())


def _note_failure(state: StorageState, error: storage.StorageError) -> None:
    """Count it and close; those who had set out together and failed together have seen one failure."""
    now, refused = timezone.now(), error.status in REFUSALS
    StorageState.objects.bulk_create([StorageState(store=STORE)], ignore_conflicts=True)
    faults = state.faults + 1
    changes = {"faults": faults, **(_closed(faults, refused) if refused or faults >= PATIENCE else {})}
    if not _rows().filter(faults=state.faults).update(**changes) or "closed_until" not in changes:
        return
    if refused:
        detail = f"The store answers {error.status}: it does not take our key, our clock or the bucket's name."
        alerts.note("store_refused", detail, now=now)
    else:
        said = f"answers {error.status}" if error.status else "does not answer"
        alerts.note("store_unavailable", f"The store {said}. Files wait in the spool.", now=now)


def _closed(faults: int, refused: bool) -> dict[str, object]:
    """1, 2, 3 seconds, of a refusal 1, 2, 4 … 60; a little more or less, so that several sites do not come at once."""
    jitter = random.uniform(0.8, 1.2)  # noqa: S311  (it spreads tries, and hides nothing)  # nosec B311
    longest = LONGEST_PAUSE_OF_A_REFUSAL if refused else LONGEST_PAUSE_SECONDS
    seconds = min(longest, 2 ** min(max(faults - PATIENCE, 0), 6)) * jitter
    return {
        "closed_until": Now() + timedelta(seconds=seconds),
        "closed_reason": "refused" if refused else "unavailable",
    }


def _note_success(state: StorageState) -> None:
    """Open again, and let all that waited come, as many at a time as the lanes have hands."""
    if not state.faults and not state.closed_until:
        return
    now = timezone.now()
    if _rows().filter(faults__gt=0).update(faults=0, closed_until=None, closed_reason=""):
        faultpoint("store.opened")
        waiting = Output.objects.filter(state=Output.State.WAITING, error_code="storage_unavailable")
        waiting.filter(due_at__gt=now).update(due_at=now)
        alerts.over("store_unavailable", now=now)
        alerts.over("store_refused", now=now)
