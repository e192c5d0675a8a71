"""Outputs that wait to be brought home, and a store whose door can be shut."""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from gallery import storage
from generation.lifecycle import apply_update
from generation.models import Output, Prediction, StorageState
from generation.tests.making import done, make_sent, make_user
from generation.work.lanes import LANES
from generation.work.loop import run_once

STORE_LANE = [lane for lane in LANES if lane.name == "store"]


class Door:
    """The real store behind a door: `shut` is the status that it answers with, 0 for no answer, None for open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shut: int | None = None
        self.tried: list[str] = []
        self.put, self.check = storage.put, storage.check
        # Whether the store lets us in at all when it refuses a file.
        self.known = False
        monkeypatch.setattr(storage, "put", self)
        monkeypatch.setattr(storage, "check", self.ask)

    def __call__(self, *, path: Path, key: str, content_type: str) -> None:
        self.tried.append(key)
        if self.shut is not None:
            raise storage.StorageError("the door is shut", status=self.shut or None)
        self.put(path=path, key=key, content_type=content_type)

    def ask(self) -> None:
        """Whether the store answers, or this is a door that nobody is let in by."""
        if self.shut is not None and not self.known:
            raise storage.StorageError("the door is shut", status=self.shut or None)
        self.check()


def make_waiting(*addresses: str, left: timedelta = timedelta(hours=1)) -> list[Output]:
    """Outputs at `addresses` of one succeeded prediction, which the provider deletes when `left` is over."""
    number = Prediction.objects.count()
    now, provider_id = timezone.now(), f"p{number}"
    prediction, attempt = make_sent(now=now, user=make_user(username=f"u{number}"), provider_id=provider_id)
    apply_update(attempt=attempt, update=dataclasses.replace(done(*addresses), id=provider_id), now=now)
    outputs = Output.objects.filter(prediction=prediction)
    outputs.update(expires_at=now + left)
    return list(outputs)


def let_pass(seconds: float) -> None:
    """As if so much time had gone by since the last try."""
    ago = timedelta(seconds=seconds)
    for state in StorageState.objects.filter(closed_until__isnull=False):
        StorageState.objects.filter(pk=state.pk).update(closed_until=(state.closed_until or timezone.now()) - ago)
    for output in Output.objects.filter(due_at__isnull=False):
        Output.objects.filter(pk=output.pk).update(due_at=(output.due_at or timezone.now()) - ago)


def bring_home(*, rounds: int = 1) -> None:
    """What the store lane does with everything that is due."""
    for _ in range(rounds):
        while run_once(STORE_LANE):
            pass


def states(outputs: Sequence[Output]) -> list[str]:
    """Where they stand now."""
    found = dict(Output.objects.values_list("pk", "state"))
    return [found[output.pk] for output in outputs]
