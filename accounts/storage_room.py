"""How much of the store a user's files take, and how much they may.

Originals count, thumbnails and previews do not. One row for each user is changed by guarded UPDATE in the transaction
that enters a file, and freed when the file is seen to be gone, so that nobody adds up a million rows.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext

from accounts.models import StorageUse, User
from accounts.sizes import size
from accounts.statements import Sql, insert_new, update

# What `read` reads of a user.
COLUMNS = ("storage_use__used_bytes", "storage_bytes_limit")
# What is taken for no limit.
UNBOUNDED = 2**62
LIMIT = 'SELECT "storage_bytes_limit" FROM "accounts_user" WHERE "id" = "accounts_storageuse"."user_id"'
FITS = f'"used_bytes" <= COALESCE(({LIMIT}), {UNBOUNDED}) - %s'


@dataclass(frozen=True)
class Room:
    """Bytes; a `limit` of None does not bind."""

    used: int
    limit: int | None

    @property
    def remaining(self) -> int | None:
        """What may still be uploaded; never below 0."""
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def full(self) -> bool:
        """Whether nothing new may be made: outputs are kept even beyond the limit, since they are paid for."""
        return self.limit is not None and self.used >= self.limit


class StorageFull(Exception):
    """There is no room for more; `sentence` says so with both figures."""

    def __init__(self, room: Room) -> None:
        self.sentence = gettext("Your storage is full: %(used)s of %(limit)s are used.") % {
            "used": size(room.used),
            "limit": size(room.limit or 0),
        }
        super().__init__(self.sentence)
        self.room = room


def room_of(user_id: int) -> Room:
    """Where a user stands; one SELECT. Raises `User.DoesNotExist`."""
    return read(of_users().get(pk=user_id))


def of_users() -> QuerySet[User, Any]:
    """What `read` reads, of everybody."""
    rows: QuerySet[User, Any] = User.objects.values(*COLUMNS)
    return rows


def read(row: Mapping[str, Any]) -> Room:
    """The room that a row of `of_users` tells of."""
    return Room(row["storage_use__used_bytes"] or 0, row["storage_bytes_limit"])


def check(room: Room) -> None:
    """Raises `StorageFull` where nothing new may be made."""
    if room.full:
        raise StorageFull(room)


def check_fits(user_id: int, size_bytes: int) -> None:
    """Raises `StorageFull` where an upload of this size would not fit now."""
    room = room_of(user_id)
    if room.remaining is not None and size_bytes > room.remaining:
        raise StorageFull(room)


def take(*, user_id: int, size_bytes: int, bounded: bool) -> None:
    """Count a file that is entered in this transaction. Raises `StorageFull` when `bounded` and it does not fit."""
    if _take(user_id, size_bytes, bounded):
        return
    # Another first file may have made the row meanwhile.
    insert_new(StorageUse(user_id=user_id))
    if not _take(user_id, size_bytes, bounded):
        raise StorageFull(room_of(user_id))


def _take(user_id: int, size_bytes: int, bounded: bool) -> bool:
    also = Sql(FITS, [size_bytes]) if bounded else None
    return update(StorageUse, {"pk": user_id}, also=also, used_bytes=Sql('"used_bytes" + %s', [size_bytes])) == 1


def free(*, user_id: int, size_bytes: int) -> None:
    """Files of this size are gone from the store."""
    if size_bytes:
        StorageUse.objects.filter(pk=user_id).update(used_bytes=F("used_bytes") - size_bytes)


def recount(held: Callable[[int], int]) -> list[str]:
    """Set every row to what `held` says of its user, with the row locked; a sentence for each that differed."""
    wrong = []
    for user_id in User.objects.order_by("pk").values_list("pk", flat=True):
        # A user who is erased meanwhile has no row, and may have none.
        with suppress(StorageUse.DoesNotExist, IntegrityError):
            wrong += _recount(user_id, held)
    return wrong


def _recount(user_id: int, held: Callable[[int], int]) -> list[str]:
    with transaction.atomic():
        StorageUse.objects.bulk_create([StorageUse(user_id=user_id)], ignore_conflicts=True)
        row = StorageUse.objects.select_for_update().get(pk=user_id)
        truth = held(user_id)
        if row.used_bytes == truth:
            return []
        StorageUse.objects.filter(pk=user_id).update(used_bytes=truth)
    return [f"user {user_id} was said to store {row.used_bytes} bytes; it is {truth}"]
