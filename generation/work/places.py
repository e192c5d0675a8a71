"""Where the predictions that wait for a slot stand and when they will go, in a constant number of statements."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext, gettext_noop, ngettext

from accounts.prepared import Prepared
from accounts.statements import read
from generation import pauses
from generation.lifecycle.asking import CLOSING_REASONS, storing_is_behind
from generation.models import Prediction, ProviderState
from generation.states import Status
from generation.work import choose, fair
from generation.work.schedule import usual_seconds

# Beyond this a place is no longer told: nobody can do anything with "4711th".
MOST_PLACES: Final = 1000
# A run that takes longer than usual is taken to need this share of the usual time still.
LATE_SHARE: Final = 0.25
CLOSED: Final = gettext_noop("The provider takes no new work just now. This one starts when it does.")
BEHIND: Final = gettext_noop("Finished files are waiting to be saved. This one starts when they are.")


@dataclass(frozen=True)
class Place:
    """`position` counts from 1 among `waiting`; 0 means beyond `MOST_PLACES`, or none because of a pause.

    `starts_in_seconds` is the chooser's own order played forward, beyond `MOST_PLACES` the least that it can be; None
    where nobody can say. `own_running` are the owner's that hold a slot. `held` says in a sentence what has to be over
    before anything starts; `paused` is the reason that an administrator gave.
    """

    position: int
    waiting: int
    starts_in_seconds: float | None
    own_running: int
    held: str = ""
    paused: str = ""

    @property
    def blocked_by_own(self) -> bool:
        """Whether it waits for one of the same owner's to end."""
        return self.own_running >= settings.MAX_IN_FLIGHT_PER_USER

    @property
    def why(self) -> str:
        """What has to be over first, in a sentence, where it is more than the turn of others."""
        if self.paused:
            return gettext("Paused by an administrator: %(reason)s") % {"reason": self.paused}
        if self.held or not self.blocked_by_own:
            return gettext(self.held) if self.held else ""
        sentence = ngettext(
            "One of yours is running. This one starts when a slot is free.",
            "%(count)s of yours are running. This one starts when a slot is free.",
            self.own_running,
        )
        return sentence % {"count": self.own_running}


@dataclass(frozen=True)
class _Outlook:
    """The queue at `now`: `order` holds position and seconds until the start, as far as the last one asked for."""

    now: datetime
    thrown: pauses.Pauses
    held: str
    waiting: int
    order: Mapping[UUID, tuple[int, float]]
    running: Counter[int]

    def place_of(self, item: Prediction) -> Place:
        own = self.running[item.user_id]
        if paused := self.thrown.reason_for(user_id=item.user_id, model=item.model):
            return Place(0, self.waiting, None, own, paused=paused)
        behind_all = (0, max((seconds for _, seconds in self.order.values()), default=0.0))
        position, seconds = self.order.get(item.pk, behind_all)
        # What was handed back may not be tried again at once.
        seconds = max(seconds, (item.due_at - self.now).total_seconds() if item.due_at else 0.0)
        return Place(position, self.waiting, None if self.held else seconds, own, held=self.held)


def places(predictions: Iterable[Prediction], *, now: datetime) -> dict[UUID, Place]:
    """The place of each that waits for a slot; nothing is asked of the database when none does."""
    unsent = [item for item in predictions if item.status == Status.QUEUED and item.submitted_at is None]
    if not unsent:
        return {}
    slots = SLOTS(provider=settings.PROVIDER)
    running = [
        fair.Running(slot["user_id"], slot["model"], _left(slot["model"], slot["submitted_at"], now)) for slot in slots
    ]
    outlook = _look_out(running, {item.pk for item in unsent}, now)
    being_sent = {slot["pk"] for slot in slots}
    return {item.pk: outlook.place_of(item) for item in unsent if item.pk not in being_sent}


def _in_queue(provider: str) -> QuerySet[Prediction]:
    nobody_has = Q(lease_until=None) | Q(lease_until__lt=Now())
    return choose.waiting(provider).filter(nobody_has, quarantined_at=None)


SLOTS = Prepared(
    lambda provider: choose.in_flight(provider).values("pk", "user_id", "model", "submitted_at"), provider=str
)


@lru_cache
def _head(most: int) -> Prepared:
    """Those of the first where nobody is held back, which is nearly always."""
    return Prepared(lambda provider: choose.in_line(_in_queue(provider))[:most], provider=str)


def _look_out(running: list[fair.Running], wanted: set[UUID], now: datetime) -> _Outlook:
    state = next(iter(read(ProviderState, {"provider": settings.PROVIDER})), ProviderState())
    thrown = pauses.in_force()
    rows = thrown.without(_in_queue(settings.PROVIDER))
    if thrown.any:
        head = choose.line(rows, most=MOST_PLACES)
    else:
        head = [fair.Waiting(*row.values()) for row in _head(MOST_PLACES)(provider=settings.PROVIDER)]
    order = fair.forecast(
        waiting=head,
        running=running,
        caps=choose.caps(),
        usual_seconds=usual_seconds,
        pace=_pace(state, now),
        now=now,
    )
    standing = {}
    for position, (item, seconds) in enumerate(order, start=1):
        standing[item.id] = (position, seconds)
        wanted.discard(item.id)
        if not wanted:
            break
    return _Outlook(
        now=now,
        thrown=thrown,
        held=_held(state, now),
        waiting=len(head) if len(head) < MOST_PLACES else rows.count(),
        order=standing,
        running=Counter(item.user for item in running),
    )


def _left(model: str, sent_at: datetime | None, now: datetime) -> float:
    """How many seconds a run has still to go, if it is a usual one."""
    usual = usual_seconds(model)
    return max(usual - (now - (sent_at or now)).total_seconds(), usual * LATE_SHARE)


def _pace(state: ProviderState, now: datetime) -> fair.Pace:
    """The rate of creates, beginning when the provider will hear of us again."""
    interval, burst = choose.pace(state, now)
    slot = choose.next_slot(state, now)
    if state.closed_until and state.closed_until > now:
        slot = max(slot, state.closed_until - interval)
    return fair.Pace(interval.total_seconds(), burst, (slot - now).total_seconds())


def _held(state: ProviderState, now: datetime) -> str:
    """What has to be over before anything can start, if something has."""
    if state.closed_until and state.closed_until > now and state.closed_reason in CLOSING_REASONS:
        return CLOSED
    return BEHIND if storing_is_behind(now=now) else ""
