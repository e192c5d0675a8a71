"""How many calls may leave beside creates: one meter for all processes, kept in the database and by its clock."""

import secrets
from datetime import timedelta
from typing import Final

from django.db.models import DateTimeField, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils import timezone

from generation.models import ProviderState
from generation.providers.base import OverBudget
from generation.work.connections import let_go

# Replicate allows 3,000 a minute (https://replicate.com/docs/topics/predictions/rate-limits).
PER_MINUTE: Final = 2700
# Those of a quiet while that may leave at once.
BURST: Final = 50
INTERVAL: Final = timedelta(minutes=1) / PER_MINUTE
# So that those who were sent away together do not all come back in the same moment.
JITTER_SECONDS: Final = 1.0


class CallBudget:
    """The budget of one provider's account; see `generation.providers.base.Budget`."""

    def __init__(self, provider: str) -> None:
        self._rows = ProviderState.objects.filter(provider=provider)
        self._provider = provider

    def take(self) -> None:
        """One guarded UPDATE moves the meter on; raises `OverBudget` with the time at which there is room again."""
        try:
            if self._taken():
                return
            state, made = ProviderState.objects.get_or_create(provider=self._provider)
            if made and self._taken():
                return
            raise OverBudget((state.read_slot_at or timezone.now()) + INTERVAL)
        finally:
            # The call that follows may take its time.
            let_go()

    def _taken(self) -> bool:
        return self._free().update(read_slot_at=_latest(Now() - INTERVAL * BURST) + INTERVAL) == 1

    def _free(self) -> QuerySet[ProviderState]:
        return self._rows.filter(Q(read_slot_at=None) | Q(read_slot_at__lte=Now() - INTERVAL))

    def pause(self, seconds: float) -> None:
        """Let nobody call for so long; creates have a meter of their own."""
        jitter = secrets.SystemRandom().uniform(0, JITTER_SECONDS)
        self._rows.update(read_slot_at=_latest(Now() + timedelta(seconds=seconds + jitter)))
        let_go()


def _latest(moment: object) -> Greatest:
    """The later of the meter and `moment`. SQLite's MAX knows nothing but NULL where one of the two is."""
    return Greatest(Coalesce("read_slot_at", moment), moment, output_field=DateTimeField())
