"""The kinds of work: which rows each lane claims, what is done with one, and how many at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gallery.leases import Claims
from gallery.models import Asset
from generation.models import Output, WebhookDelivery
from generation.webhooks import inbox
from generation.work import derive, outgoing, store
from generation.work.choose import choose, waiting
from generation.work.refresh import refresh, sent
from generation.work.refresh import take as take_sent
from generation.work.submit import submit


@dataclass(frozen=True)
class Lane:
    """`claim(n)` leases at most n due rows of `rows`; `step` does one of them and hands its lease back.

    `concurrency` are done at a time; `ahead` more are leased, so that the next begins at once where steps are short.
    """

    name: str
    claim: Callable[[int], list[Any]]
    step: Callable[[Any], None]
    concurrency: int
    rows: Callable[[], Any] | None = None
    ahead: int = 0

    def __str__(self) -> str:
        return self.name


LANES = (
    Lane("submit", choose, submit, 8, waiting),
    Lane("refresh", take_sent, refresh, 4, sent),
    Lane("deliver", Claims(WebhookDelivery.objects.all).take, inbox.deliver, 2, WebhookDelivery.objects.all),
    Lane("store", store.take, store.store, 8, Output.objects.all),
    Lane("derive", derive.DUE.take, derive.derive, 2, Asset.objects.all, ahead=2),
    Lane("announce", outgoing.take, outgoing.send, 4, outgoing.waiting),
)
NAMES = (*(lane.name for lane in LANES), "chores")
