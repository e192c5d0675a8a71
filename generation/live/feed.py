"""What is new: events read once each, the cards that show them, and what a socket that was away has missed."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.template.loader import render_to_string

from accounts.prepared import Prepared
from accounts.statements import read
from generation.models import Prediction, PredictionEvent
from generation.states import UNFINISHED
from generation.web.runs import shown

# An event's id is drawn before its transaction commits, so that on PostgreSQL a lower one may become visible
# later. Ids that were passed over are looked for this long; then they belong to what was rolled back.
WINDOW: Final = timedelta(seconds=60)
# A sequence that jumps (after a failover) leaves more gaps than are worth looking for.
MOST_GAPS: Final = 1000
PAGE: Final = 2000
# Cards that one socket is told of at once; a page that was away for longer is better reloaded.
MOST_MISSED: Final = 100


FRESH = Prepared(
    lambda after: PredictionEvent.objects.filter(pk__gt=after).order_by("pk").values("pk", "prediction_id")[:PAGE],
    after=int,
)


SEEN = Prepared(
    lambda user, event: PredictionEvent.objects.filter(user_id=user, pk=event).values("created_at"), user=int, event=int
)


def _missed(user: int, since: datetime) -> QuerySet[Prediction, Any]:
    changed = PredictionEvent.objects.filter(user_id=user, created_at__gte=since).values("prediction_id")
    rows = Prediction.objects.filter(user_id=user).filter(Q(status__in=UNFINISHED) | Q(pk__in=changed))
    return rows.order_by("-created_at", "-pk").values("pk")[:MOST_MISSED]


MISSED = Prepared(_missed, user=int, since=datetime)


@dataclass(frozen=True)
class Frame:
    """One card for the sockets of its owner. `event` is the newest that it shows."""

    user_id: int
    event: int
    html: str


@dataclass
class Cursor:
    """A place in the stream of all events; each is handed out once, however late it becomes visible."""

    last: int = 0
    gaps: dict[int, datetime] = field(default_factory=dict)

    @classmethod
    def at_end(cls, *, now: datetime) -> "Cursor":
        """What exists by now is old; what is being written at this moment is not."""
        before = PredictionEvent.objects.filter(created_at__lt=now - WINDOW).order_by("-created_at", "-pk")
        cursor = cls(last=before.values_list("pk", flat=True).first() or 0)
        cursor.read(now=now)
        return cursor

    def read(self, *, now: datetime) -> list[UUID]:
        """The predictions of events that were not handed out yet, each once."""
        self.gaps = {pk: noticed for pk, noticed in self.gaps.items() if noticed > now - WINDOW}
        late = read(PredictionEvent, {"pk": tuple(self.gaps)}) if self.gaps else []
        changed: dict[UUID, None] = {event.prediction_id: None for event in late}
        for event in late:
            self.gaps.pop(event.pk)
        while True:
            fresh = FRESH(after=self.last)
            for row in fresh:
                self._pass(row["pk"], now)
                changed[row["prediction_id"]] = None
            if len(fresh) < PAGE:
                return list(changed)

    def _pass(self, pk: int, now: datetime) -> None:
        """Note `pk` as handed out, and those below it that nobody can see yet."""
        self.gaps |= dict.fromkeys(range(max(self.last + 1, pk - MOST_GAPS), pk), now)
        if len(self.gaps) > MOST_GAPS:
            self.gaps = dict(list(self.gaps.items())[-MOST_GAPS:])
        self.last = pk


def frames(*, prediction_ids: Collection[UUID], users: Collection[int], now: datetime) -> list[Frame]:
    """The cards of those predictions that belong to one of `users`, as they are now, oldest first."""
    if not prediction_ids or not users:
        return []
    owners = set(users)
    return rendered([row for row in in_order(tuple(prediction_ids)) if row.user_id in owners], now=now)


def in_order(prediction_ids: tuple[UUID, ...]) -> list[Prediction]:
    """Those predictions, oldest first."""
    return sorted(read(Prediction, {"pk": prediction_ids}), key=lambda row: (row.created_at, row.pk))


def missed(*, user_id: int, since: int, now: datetime) -> list[Frame]:
    """Every card of the user's that is unfinished, or changed after 60 s before event `since`; the newest 100."""
    last = [event["created_at"] for event in SEEN(user=user_id, event=since)]
    wanted = tuple(row["pk"] for row in MISSED(user=user_id, since=(last or [now])[0] - WINDOW))
    return rendered(in_order(wanted), now=now) if wanted else []


def rendered(rows: Collection[Prediction], *, now: datetime) -> list[Frame]:
    """`rows` as frames, in a constant number of statements."""
    return [
        Frame(
            card.prediction.user_id,
            card.event,
            render_to_string(card.template, {"card": card, "oob": True}),
        )
        for card in shown(rows, now=now)
    ]
