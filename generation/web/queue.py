"""Where the predictions that wait for a slot stand, in a constant number of statements."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

from generation.models import Prediction
from generation.states import OPEN_AT_PROVIDER, Status

# Beyond this a place is no longer told: nobody can do anything with "4711th".
MOST_PLACES = 1000


@dataclass(frozen=True)
class Place:
    """`position` counts from 1; 0 means beyond `MOST_PLACES`.

    `own_running` are the owner's at the provider, `own_before` those of the owner's that wait in front of it.
    """

    position: int
    waiting: int
    own_running: int
    own_before: int

    @property
    def blocked_by_own(self) -> bool:
        """Whether it waits for one of the same owner's to end."""
        return self.own_running >= settings.MAX_IN_FLIGHT_PER_USER

    def wait_seconds(self, *, usual_seconds: float) -> float:
        """A rough wait, if everything before it takes this model's usual time."""
        everyones = max(0, self.position - 1) // settings.MAX_IN_FLIGHT
        own = (self.own_running + self.own_before) // settings.MAX_IN_FLIGHT_PER_USER
        return usual_seconds * max(everyones, own)


def places(predictions: Iterable[Prediction]) -> dict[UUID, Place]:
    """The place of each that waits for a slot; nothing is asked of the database when none does."""
    unsent = [item for item in predictions if item.status == Status.QUEUED and item.submitted_at is None]
    if not unsent:
        return {}
    waiting = Prediction.objects.filter(status=Status.QUEUED, submitted_at=None)
    order = list(waiting.order_by("created_at", "id").values_list("id", "user_id")[: MOST_PLACES + 1])
    total = len(order) if len(order) <= MOST_PLACES else waiting.count()
    running = Prediction.objects.filter(
        user_id__in={item.user_id for item in unsent}, status__in=OPEN_AT_PROVIDER, submitted_at__isnull=False
    )
    own_running = Counter(running.values_list("user_id", flat=True))
    before: Counter[int] = Counter()
    standing = {}
    for position, (key, user_id) in enumerate(order[:MOST_PLACES], start=1):
        standing[key] = Place(position, total, own_running[user_id], before[user_id])
        before[user_id] += 1
    # What was sent between the two looks, or stands too far behind, has no place to tell.
    return {
        item.pk: standing.get(item.pk) or Place(0, total, own_running[item.user_id], before[item.user_id])
        for item in unsent
    }
