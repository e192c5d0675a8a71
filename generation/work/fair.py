"""Who goes next, as a function of plain data: users in turn, then age, within caps. No database, and no clock.

A user's next item ranks by how many of theirs hold a slot, one more with each. A rank improves by one for each minute
of waiting, counted from the moment at which the user was last given a slot: whoever has just been served begins anew,
however old the rest of theirs is. So newcomers starve nobody, and whoever brings ten thousand delays nobody by more
than a turn. Ranks of people who run the studio are a few minutes better; they wait in the same line.
"""

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

STAFF_MINUTES: Final = 3.0


@dataclass(frozen=True)
class Waiting:
    """One item of which nothing was sent. `served_at` is when its user was last given a slot, None for never."""

    id: UUID
    user: int
    model: str
    created_at: datetime
    served_at: datetime | None = None
    staff: bool = False


@dataclass(frozen=True)
class Running:
    """One item that holds a slot: `ends_in_seconds` as far as one can know."""

    user: int
    model: str
    ends_in_seconds: float = 0.0


@dataclass(frozen=True)
class Caps:
    """How many may hold a slot at a time, in all, of one user, and of those models that have a cap."""

    total: int
    per_user: int
    models: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """The rate of sending: so many seconds between two, up to `burst` at once when a quiet while has left room.

    `slot_seconds` is the slot of the last one sent, in seconds from now, negative for the past.
    """

    interval_seconds: float = 0.0
    burst: int = 1
    slot_seconds: float = 0.0


# Rank, age, id: the least goes first.
_Entry = tuple[float, datetime, UUID, Waiting]


class Line:
    """Everybody who waits, and how many slots are held. `take` and `leave` keep it current."""

    def __init__(self, *, waiting: Iterable[Waiting], running: Iterable[Running], caps: Caps) -> None:
        running = list(running)
        self._caps = caps
        self._total = len(running)
        self._of_user = Counter(item.user for item in running)
        self._of_model = Counter(item.model for item in running)
        self._served: dict[int, datetime] = {}
        self._waiting: dict[int, dict[str, deque[Waiting]]] = defaultdict(lambda: defaultdict(deque))
        # For each model a heap of its users' first items; of those that are no longer true, `_entries` knows nothing.
        self._heaps: dict[str, list[_Entry]] = defaultdict(list)
        self._entries: dict[tuple[int, str], _Entry] = {}
        for item in sorted(waiting, key=lambda item: (item.created_at, item.id)):
            self._waiting[item.user][item.model].append(item)
            if item.served_at:
                self._served[item.user] = item.served_at
        for user in self._waiting:
            self._enter(user)

    def take(self, *, now: datetime) -> Waiting | None:
        """Give the next one its slot; None when nobody may go before somebody leaves."""
        if self._total >= self._caps.total:
            return None
        firsts = [first for model in self._heaps if self._has_room(model) and (first := self._first(model))]
        if not firsts:
            return None
        item = min(firsts)[-1]
        self._waiting[item.user][item.model].popleft()
        self._total += 1
        self._of_user[item.user] += 1
        self._of_model[item.model] += 1
        self._served[item.user] = now
        self._enter(item.user)
        return item

    def leave(self, *, user: int, model: str) -> None:
        """A slot that was held becomes free."""
        self._total -= 1
        self._of_user[user] -= 1
        self._of_model[model] -= 1
        if user in self._waiting:
            self._enter(user)

    def _has_room(self, model: str) -> bool:
        return model not in self._caps.models or self._of_model[model] < self._caps.models[model]

    def _first(self, model: str) -> _Entry | None:
        heap = self._heaps[model]
        while heap and self._entries.get((heap[0][-1].user, model)) is not heap[0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _enter(self, user: int) -> None:
        """Rank the first item of each of the user's models anew; nobody at their cap is in the running."""
        may_go = self._of_user[user] < self._caps.per_user
        for model, items in self._waiting[user].items():
            self._entries.pop((user, model), None)
            if may_go and items:
                entry = (self._rank(items[0]), items[0].created_at, items[0].id, items[0])
                self._entries[user, model] = entry
                heapq.heappush(self._heaps[model], entry)

    def _rank(self, item: Waiting) -> float:
        """All ranks improve by one in a minute, so that none has to be counted anew because time has passed."""
        served_at = self._served.get(item.user)
        since = max(item.created_at, served_at) if served_at else item.created_at
        return self._of_user[item.user] + 1 + since.timestamp() / 60 - (STAFF_MINUTES if item.staff else 0)


def choose(
    *, waiting: Iterable[Waiting], running: Iterable[Running], caps: Caps, limit: int, now: datetime
) -> list[Waiting]:
    """The next ones to go, `limit` at most, in their order."""
    line = Line(waiting=waiting, running=running, caps=caps)
    chosen: list[Waiting] = []
    while len(chosen) < limit and (item := line.take(now=now)):
        chosen.append(item)
    return chosen


def forecast(
    *,
    waiting: Iterable[Waiting],
    running: Iterable[Running],
    caps: Caps,
    usual_seconds: Callable[[str], float],
    pace: Pace,
    now: datetime,
) -> Iterator[tuple[Waiting, float]]:
    """Everybody who waits in the order in which they will go, each with the seconds until then.

    If every run takes as long as its model usually does, and nobody comes, leaves or is held up. Whoever can never go,
    because a cap is 0, is left out.
    """
    running = list(running)
    line = Line(waiting=waiting, running=running, caps=caps)
    ends = [(item.ends_in_seconds, item.user, item.model) for item in running]
    heapq.heapify(ends)
    slot, passed = pace.slot_seconds, 0.0
    while True:
        # What was not sent for a while may be sent at once, as far as the burst allows.
        slot = max(slot, passed - pace.interval_seconds * pace.burst)
        passed = max(passed, slot + pace.interval_seconds)
        while ends and ends[0][0] <= passed:
            _, user, model = heapq.heappop(ends)
            line.leave(user=user, model=model)
        item = line.take(now=now + timedelta(seconds=passed))
        if item:
            yield item, passed
            slot += pace.interval_seconds
            heapq.heappush(ends, (passed + usual_seconds(item.model), item.user, item.model))
        elif ends:
            passed = ends[0][0]
        else:
            return
