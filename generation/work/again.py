"""Another chance: for what was set aside, for files that wait, and for lost ones that may still be there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from generation import events
from generation.models import Output, Prediction
from generation.states import UNFINISHED
from generation.work import spool


@dataclass(frozen=True)
class SecondChance:
    """What came of it, in numbers of files; `set_aside` counts the prediction too."""

    set_aside: int
    hurried: int
    revived: int
    gone: int

    @property
    def sentence(self) -> str:
        """For an administrator."""
        parts = [
            f"{self.set_aside} set aside will be worked on again" if self.set_aside else "",
            f"{self.hurried} waiting {_files(self.hurried)} will be tried at once" if self.hurried else "",
            f"{self.revived} lost {_files(self.revived)} will be fetched again" if self.revived else "",
            f"{self.gone} lost {_files(self.gone)} can no longer be had" if self.gone else "",
        ]
        return ", ".join(part for part in parts if part) or "nothing waits to be stored, and nothing was lost"


def take_up_again(rows: QuerySet[Any], *, now: datetime) -> int:
    """Have what was set aside worked on again, at once; returns how many rows."""
    held = rows.filter(quarantined_at__isnull=False, due_at__isnull=False)
    return held.update(quarantined_at=None, claims=0, due_at=now)


def store_again(*, prediction: Prediction, now: datetime) -> SecondChance:
    """Try to bring the files of a prediction home; its state, once it has ended, stays what it is.

    A lost file is fetched again while the provider keeps it, or while it lies in this host's spool. Money does not
    move; once something of a lost prediction is stored, the books count it with what succeeded.
    """
    outputs = Output.objects.filter(prediction=prediction)
    with transaction.atomic():
        set_aside = take_up_again(Prediction.objects.filter(pk=prediction.pk, status__in=UNFINISHED), now=now)
        set_aside += take_up_again(outputs.filter(state=Output.State.WAITING), now=now)
        waiting = outputs.filter(state=Output.State.WAITING, lease_token=None, due_at__gt=now)
        hurried = waiting.update(due_at=now)
        lost = list(outputs.filter(state=Output.State.LOST, asset=None))
        there = [output.pk for output in lost if output.expires_at > now or spool.spooled(output)]
        revived = outputs.filter(pk__in=there, state=Output.State.LOST).update(
            state=Output.State.WAITING,
            error_code="",
            tries=0,
            claims=0,
            due_at=now,
            lease_token=None,
            lease_until=None,
            quarantined_at=None,
        )
        if set_aside or hurried or revived:
            events.record(prediction=prediction, name="store_again", now=now)
    return SecondChance(set_aside=set_aside, hurried=hurried, revived=revived, gone=len(lost) - revived)


def _files(number: int) -> str:
    return "file" if number == 1 else "files"
