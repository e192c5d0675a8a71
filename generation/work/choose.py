"""Who goes next to the provider: of those who choose at the same time one prevails, so that caps and rate are exact."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Count, DateTimeField, Exists, F, Q, QuerySet, Subquery, Window
from django.db.models.functions import Coalesce, Greatest, Now, RowNumber
from django.utils import timezone

from accounts.prepared import Prepared, condition_of
from accounts.statements import Sql, insert_new, read, update
from gallery.faultpoints import faultpoint
from gallery.leases import Claims, free
from generation import pauses
from generation.lifecycle import LEAST_TIME_TO_STORE, late_to_store
from generation.models import ModelCap, Pause, Prediction, PredictionQuerySet, ProviderState, QueueTurn
from generation.states import OPEN_AT_PROVIDER, Status
from generation.work import fair
from generation.work.circuit import PROBE, UNAUTHENTICATED

# Creates that may leave at once after a quiet while; the provider tolerates short bursts.
BURST = 10
# An account low on credit is held to 6 creates a minute, one at a time; a twentieth is left for late clocks.
SLOW_INTERVAL, SLOW_BURST = timedelta(seconds=63) / 6, 1
# Creates that may be under way while nothing shows that the provider takes any: with a bad token each is refused.
TRIERS = 3
# After that a create has been answered or is in doubt.
ANSWERED_BY = timedelta(seconds=40)
# How many of those who wait are looked at; the first of each user come first, so that nobody's turn is overlooked.
LOOKED_AT = 1000
SERVED_AT = "user__queue_turn__served_at"
# Each shows that the provider has taken it.
TAKEN = (Status.STARTING, Status.PROCESSING, Status.STORING)


def unsent(provider: str = "") -> PredictionQuerySet:
    """Those of which nothing has been sent."""
    return Prediction.objects.filter(status=Status.QUEUED, submitted_at=None, provider=provider or settings.PROVIDER)


@lru_cache
def _claims(provider: str) -> Claims:
    return Claims(lambda: unsent(provider))


def waiting(provider: str = "") -> PredictionQuerySet:
    """Those that will be: of an account that is being deleted nothing is."""
    return unsent(provider).filter(user__deletion_asked_at=None)


def choose(limit: int) -> list[Prediction]:
    """Lease up to `limit` waiting predictions, each user in turn, within pauses, caps, rate and circuit."""
    if limit < 1:
        return []
    door = _door()
    ready = _ready(door) if door.waits and not door.behind else None
    chosen = ready.fairest(limit, now=door.now) if ready else []
    if not chosen:
        return []
    with transaction.atomic():
        if not _spend_rate(door, len(chosen)):
            return []
        claimed: list[Prediction] = _claims(settings.PROVIDER).chosen([item.id for item in chosen])
        for row in claimed:
            row.door = door.state
        _note_served({row.user_id for row in claimed}, door.now)
    faultpoint("choose.claimed")
    return claimed


class _Door(NamedTuple):
    """What one statement tells: the provider's row at the database's `now`, and what stands before and behind it.

    Where nothing is `paused` or `capped`, neither switches nor the models' caps have to be read.
    """

    state: ProviderState
    now: datetime
    waits: bool
    behind: bool
    takes_work: bool
    unanswered: int
    paused: bool
    capped: bool


def _door() -> _Door:
    found = DOOR(provider=settings.PROVIDER, latest=timezone.now() + LEAST_TIME_TO_STORE)
    if not found:
        ProviderState.objects.get_or_create(provider=settings.PROVIDER)
        return _door()
    told = {name: found[0].pop(name) for name in _Door._fields[1:]}
    return _Door(ProviderState(**found[0]), **told)


def _as_it_stands(*, provider: str, latest: datetime) -> QuerySet[ProviderState, dict[str, Any]]:
    taken = Prediction.objects.filter(status__in=TAKEN, provider=provider)
    unanswered = _unanswered(provider).order_by().values("provider").annotate(count=Count("pk")).values("count")
    columns = [field.attname for field in ProviderState._meta.concrete_fields]
    rows: QuerySet[ProviderState, dict[str, Any]] = ProviderState.objects.filter(provider=provider).values(
        *columns,
        now=Now(),
        waits=Exists(free(waiting(provider))),
        behind=Exists(late_to_store(latest)),
        takes_work=Exists(taken),
        unanswered=Coalesce(Subquery(unanswered), 0),
        paused=Exists(Pause.objects.all()),
        capped=Exists(ModelCap.objects.all()),
    )
    return rows


def _room(door: _Door) -> int:
    """How many creates the rate and the circuit allow at this moment."""
    state, now = door.state, door.now
    if state.turn_until and state.turn_until > now:
        # While an installation is upgraded: one of the release before moves the meter before it claims.
        return 0
    if state.closed_until and state.closed_until > now:
        return 0
    interval, _ = pace(state, now)
    room = int((now - next_slot(state, now)) / interval)
    if state.faults:
        # Half open: one real item finds out whether the provider takes work again; a token is tried by the chores.
        room = min(room, 0 if state.closed_reason == UNAUTHENTICATED else 1)
    # Without a sign that the provider takes any, only so many at a time find out.
    return room if room <= 1 or door.takes_work else min(room, TRIERS - door.unanswered)


def pace(state: ProviderState, now: datetime) -> tuple[timedelta, int]:
    """The time between two creates, and how many of a quiet while may leave at once."""
    interval = timedelta(minutes=1) / settings.CREATES_PER_MINUTE
    if state.slow_until and state.slow_until > now:
        return max(interval, SLOW_INTERVAL), SLOW_BURST
    return interval, BURST


def next_slot(state: ProviderState, now: datetime) -> datetime:
    """The slot that the next create takes; those of a quiet while are kept up to the burst."""
    interval, burst = pace(state, now)
    oldest = now - interval * burst
    return max(state.slot_at or oldest, oldest)


def _unanswered(provider: str) -> PredictionQuerySet:
    """Those that a worker is sending."""
    lately = Q(submitted_at=None) | Q(submitted_at__gt=Now() - ANSWERED_BY)
    return in_flight(provider).filter(lately, status=Status.QUEUED, lease_until__gt=Now())


def in_flight(provider: str = "") -> PredictionQuerySet:
    """What holds a slot: sent or being sent, and not ended at the provider."""
    being_sent = Q(submitted_at=None, lease_until__gt=Now())
    return Prediction.objects.filter(
        Q(submitted_at__isnull=False) | being_sent,
        status__in=OPEN_AT_PROVIDER,
        provider=provider or settings.PROVIDER,
    )


DOOR = Prepared(_as_it_stands, provider=str, latest=datetime)
RUNNING = Prepared(lambda provider: in_flight(provider).values("user_id", "model"), provider=str)


def caps(*, of_models: bool = True) -> fair.Caps:
    """How many may hold a slot; `of_models` says whether there may be some of models."""
    models = {cap.model: cap.max_in_flight for cap in read(ModelCap, {})} if of_models else {}
    return fair.Caps(settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER, models)


def line(rows: QuerySet[Prediction], *, most: int, each: int = 0) -> list[fair.Waiting]:
    """The first `most` of the waiting `rows`: everybody's first of each model, then everybody's second, and so on.

    With `each`, so many of anybody's of a model at most: of whoever chooses so many nobody is chosen further behind.
    """
    return [fair.Waiting(*row.values()) for row in in_line(rows, each=each)[:most]]


def in_line(rows: QuerySet[Prediction], *, each: int = 0) -> QuerySet[Prediction, dict[str, Any]]:
    """All of `rows` in that order, with what `fair.Waiting` holds of each."""
    # The order among those is `fair`'s affair; here it only decides who may be left out.
    nth = Window(RowNumber(), partition_by=[F("user"), F("model")], order_by=[F("created_at").asc(), F("pk").asc()])
    since = Greatest(F("created_at"), Coalesce(F(SERVED_AT), F("created_at")), output_field=DateTimeField())
    ordered = rows.annotate(nth=nth, since=since).order_by("nth", "-user__is_staff", "since", "pk")
    if each:
        ordered = ordered.filter(nth__lte=each)
    columns: QuerySet[Prediction, dict[str, Any]] = ordered.values(
        "pk", "user_id", "model", "created_at", SERVED_AT, "user__is_staff"
    )
    return columns


# Where nobody is held back, which is nearly always.
LINE = Prepared(lambda provider, each: in_line(free(waiting(provider)), each=each)[:LOOKED_AT], provider=str, each=int)


class _Ready(NamedTuple):
    """Where there is room for one more: `rows` are those that may have it, one of which will; None for everybody."""

    rows: QuerySet[Prediction] | None
    running: list[fair.Running]
    caps: fair.Caps
    room: int

    def fairest(self, limit: int, *, now: datetime) -> list[fair.Waiting]:
        """Whose turn it is, `limit` at most and as many as there is room for."""
        most = min(limit, self.room)
        if self.rows is None:
            first = [fair.Waiting(*row.values()) for row in LINE(provider=settings.PROVIDER, each=most)]
        else:
            first = line(self.rows, most=LOOKED_AT, each=most)
        return fair.choose(waiting=first, running=self.running, caps=self.caps, limit=most, now=now)


def _ready(door: _Door) -> _Ready | None:
    """None while rate, circuit or the cap on all of them let nothing out; nobody who is paused or at a cap is ready."""
    if (room := _room(door)) < 1:
        return None
    given = caps(of_models=door.capped)
    running = [fair.Running(*row.values()) for row in RUNNING(provider=settings.PROVIDER)]
    if len(running) >= given.total:
        return None
    users, models = Counter(item.user for item in running), Counter(item.model for item in running)
    full_users = [user for user, held in users.items() if held >= given.per_user]
    full_models = [model for model, most in given.models.items() if models[model] >= most]
    thrown = pauses.in_force() if door.paused else pauses.NONE
    if not (full_users or full_models or thrown.any):
        return _Ready(None, running, given, room)
    full = Q(user__in=full_users) | Q(model__in=full_models)
    return _Ready(thrown.without(free(waiting())).exclude(full), running, given, room)


def _note_served(users: Iterable[int], now: datetime) -> None:
    """What waits of theirs ages from now on. Nobody else is here: whoever chooses has moved the provider's meter."""
    served = tuple(sorted(users))
    if update(QueueTurn, {"pk": served}, served_at=now) < len(served):
        for user in served:
            insert_new(QueueTurn(user_id=user, served_at=now))


def _spend_rate(door: _Door, count: int) -> bool:
    """Move the meter on; False when another has chosen since, or the door was moved.

    Whoever chooses moves the meter, in the transaction in which it claims: so where the meter stands as it was seen,
    nobody has been given a slot since. `door.state` says then how it was left.
    """
    state, now = door.state, door.now
    spent: dict[str, Any] = {"slot_at": next_slot(state, now) + pace(state, now)[0] * count}
    if state.faults:
        # The one that finds out whether the provider takes work again; the next goes when this one's answer is old.
        spent["closed_until"] = now + PROBE
    as_seen = {name: getattr(state, name) for name in ("provider", "slot_at", "closed_until", "faults", "slow_until")}
    if not update(ProviderState, as_seen, also=_nobodys_turn(), **spent):
        return False
    for name, value in spent.items():
        setattr(state, name, value)
    return True


@lru_cache
def _nobodys_turn() -> Sql:
    """Nor has one of the release before begun."""
    return condition_of(ProviderState.objects.filter(Q(turn_until=None) | Q(turn_until__lt=Now())))
