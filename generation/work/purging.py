"""Emptying the trash: what is over its time, or whose owner asks, but for what unfinished work is made from."""

import logging
from datetime import datetime
from functools import partial
from uuid import UUID

from accounts.models import User
from gallery import purging, storage
from gallery.models import Asset
from generation.models import Prediction
from generation.references import is_asset_id
from generation.work.connections import let_go

log = logging.getLogger(__name__)

# Assets of one round, and of one press of a button.
MOST = 2000


def purge_expired(*, now: datetime) -> int:
    """Delete for good what has lain in the trash long enough, and the objects that are due; returns how many assets.

    A store that does not answer is asked in the next round.
    """
    count = 0
    if (rows := purging.expired(now=now)).exists():
        count = purging.purge(rows, spare=in_use, now=now, most=MOST)
        log.info("%s assets were deleted for good", count)
    delete_objects(now=now)
    return count


def delete_objects(*, now: datetime) -> None:
    """Delete what is due of the objects of purged assets, if the store answers."""
    let_go()
    try:
        purging.delete_discarded(now=now)
    except storage.StorageError as error:
        log.warning("objects of purged assets wait for the store (%s)", error)


def empty_trash(*, owner: User, now: datetime) -> tuple[int, bool]:
    """Delete for good what the owner has put aside; returns how many, and whether some is left.

    Left is what unfinished work is made from, and what is beyond `MOST`.
    """
    rows = Asset.objects.for_owner(owner).in_trash()
    count = purging.purge(rows, spare=partial(in_use, owner), now=now, most=MOST)
    return count, rows.exists()


def in_use(owner: User | None = None) -> set[UUID]:
    """The assets that unfinished predictions, of one owner or all, are made from."""
    rows = Prediction.objects.unfinished()
    inputs = (rows.filter(user=owner) if owner else rows).values_list("input", flat=True)
    given = (value for asked in inputs for value in asked.values())
    words = (word for value in given for word in (value if isinstance(value, list) else [value]))
    return {UUID(word) for word in words if isinstance(word, str) and is_asset_id(word)}
