"""Makes up creators and what they did for a month or more: predictions, their history, and books that agree."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Max, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import LedgerEntry, User
from generation.demonstration import rows, story
from generation.demonstration.books import Books
from generation.demonstration.rows import Ids
from generation.demonstration.story import Run
from generation.demonstration.tables import Row, Table
from generation.models import Attempt, Output, Prediction, PredictionEvent, WebhookDelivery
from generation.states import Status

PREFIX: Final = "demo-"
# Nobody can receive mail there, and no password opens these accounts.
DOMAIN: Final = "example.invalid"
NAMES: Final = ("ines", "marek", "aiko", "tomas", "leila", "studio-bot")
SHARES: Final = (30, 24, 17, 9, 5, 15)
CHUNK: Final = 4000
MONTH: Final = timedelta(days=30.5)
# States and ages in minutes of what is under way at the end; the last one is set aside.
UNDER_WAY: Final = (
    (Status.QUEUED, 3),
    (Status.QUEUED, 1),
    (Status.STARTING, 0.2),
    (Status.PROCESSING, 0.7),
    (Status.PROCESSING, 0.4),
    (Status.PROCESSING, 190),
)


class AlreadyThere(Exception):
    """Made-up creators exist, so nothing was made."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of it. Without `history` only predictions, attempts and books; `corrected` is a share of the runs."""

    predictions: int = 1500
    months: int = 1
    users: int = len(NAMES)
    seed: int = 1
    history: bool = True
    corrected: float = story.CORRECTED


def make(*, plan: Plan, now: datetime) -> list[User]:
    """Write everything in one transaction; the creators. Raises `AlreadyThere`."""
    draw = random.Random(plan.seed)  # noqa: S311  (a story, not a secret)
    with transaction.atomic():
        users = _users(plan.users, now)
        moments = story.moments(
            draw, count=plan.predictions, begins=now - MONTH * plan.months, ends=now - timedelta(minutes=20)
        )
        drawn = story.runs(draw, at=moments, users=_shares(len(users)), now=now, corrected=plan.corrected)
        scribe = _Scribe(users, Ids(draw), now=now, history=plan.history)
        while chunk := list(islice(drawn, CHUNK)):
            scribe.write(chunk)
        if plan.history:
            scribe.write(_under_way(draw, users, now))
            _name_newest_events(users)
        scribe.close()
    return users


def made_before() -> bool:
    """Whether made-up creators exist."""
    return User.objects.filter(username__startswith=PREFIX, email__endswith=f"@{DOMAIN}").exists()


def _users(count: int, now: datetime) -> list[User]:
    if made_before():
        raise AlreadyThere
    names = [PREFIX + (NAMES[n] if n < len(NAMES) else f"{n + 1:02}") for n in range(count)]
    return [
        User.objects.create(
            username=name, email=f"{name}@{DOMAIN}", password=make_password(None), date_joined=now - MONTH
        )
        for name in names
    ]


def _shares(count: int) -> list[float]:
    return [float(SHARES[n]) if n < len(SHARES) else 6.0 for n in range(count)]


def _under_way(draw: random.Random, users: Sequence[User], now: datetime) -> list[Run]:
    moments = [now - timedelta(minutes=age) for _, age in UNDER_WAY]
    drawn = story.runs(draw, at=moments, users=_shares(len(users)), now=now)
    nothing: dict[str, Any] = {
        "charged": False,
        "micros": 0,
        "estimated": False,
        "correction": None,
        "failure": ("", ""),
    }
    return [
        replace(
            run,
            status=status,
            started=status is Status.PROCESSING,
            retried=False,
            ran=now - run.at - run.waited + timedelta(seconds=20),
            **nothing,
        )
        for run, (status, _) in zip(drawn, UNDER_WAY, strict=True)
    ]


class _Scribe:
    """Writes runs chunk by chunk, each table in its turn."""

    def __init__(self, users: Sequence[User], ids: Ids, *, now: datetime, history: bool) -> None:
        self._users, self._ids, self._now, self._history = users, ids, now, history
        self._books = Books(users=[user.pk for user in users], provider=settings.PROVIDER)
        self._numbers: Counter[int] = Counter()
        self._tables = {
            model: Table(model)
            for model in (Prediction, Attempt, LedgerEntry, PredictionEvent, Output, WebhookDelivery)
        }

    def write(self, runs: Sequence[Run]) -> None:
        self._books.open(runs)
        told = [(run, self._ids.at(run), self._references(run)) for run in runs]
        self._tables[Prediction].write(self._prediction(run, pk) for run, pk, _ in told)
        attempts = [
            list(rows.attempts(run, pk, references, self._ids, provider=settings.PROVIDER))
            for run, pk, references in told
        ]
        self._tables[Attempt].write(row for several in attempts for row in several)
        self._tables[LedgerEntry].write(
            entry for run, _, references in told for entry in self._books.entries(run, references)
        )
        if self._history:
            self._write_history(told, [several[-1] for several in attempts])

    def close(self) -> None:
        """The counters, and what is known of the users."""
        self._books.close()
        month = timezone.localdate(self._now).replace(day=1)
        for place, user in enumerate(self._users):
            changes: dict[str, int] = {"last_frame_number": self._numbers[place]}
            if place == len(self._users) - 1:
                # One of them has nearly reached a limit.
                dollar = 1_000_000
                changes["monthly_micros_limit"] = (self._books.spent(place, month=month) // dollar + 1) * dollar
            User.objects.filter(pk=user.pk).update(**changes)

    def _references(self, run: Run) -> list[UUID]:
        return [self._ids.uuid() for _ in range(2 if run.retried else 1)]

    def _prediction(self, run: Run, pk: UUID) -> Row:
        self._numbers[run.user] += 1
        row = rows.prediction(
            run,
            pk,
            number=self._numbers[run.user],
            user_id=self._users[run.user].pk,
            provider=settings.PROVIDER,
        )
        poisoned = run.status is Status.PROCESSING and run.at < self._now - timedelta(hours=1)
        return {**row, "claims": 5, "quarantined_at": run.at + timedelta(minutes=4)} if poisoned else row

    def _write_history(self, told: Sequence[tuple[Run, UUID, list[UUID]]], last: Sequence[Row]) -> None:
        self._tables[PredictionEvent].write(
            event for run, pk, _ in told for event in rows.events(run, pk, user_id=self._users[run.user].pk)
        )
        origin = settings.PROVIDER_URL
        self._tables[Output].write(
            rows.output(run, pk, references[-1], origin=origin)
            for run, pk, references in told
            if run.status in (Status.SUCCEEDED, Status.LOST)
        )
        self._tables[WebhookDelivery].write(self._deliveries(told, last))

    def _deliveries(self, told: Sequence[tuple[Run, UUID, list[UUID]]], last: Sequence[Row]) -> Iterator[Row]:
        """Of the last days only: they are not kept for ever."""
        for index, ((run, *_), attempt) in enumerate(zip(told, last, strict=True)):
            if attempt["completed_at"] and run.ends_at > self._now - timedelta(days=3):
                yield rows.delivery(run, attempt, applied=index % 90 != 0)


def _name_newest_events(users: Sequence[User]) -> None:
    """Cards carry the id of their newest event."""
    newest = PredictionEvent.objects.filter(prediction=OuterRef("pk")).order_by().values("prediction")
    Prediction.objects.filter(user__in=users).update(
        last_event_id=Coalesce(Subquery(newest.annotate(id_of=Max("pk")).values("id_of")), 0)
    )
