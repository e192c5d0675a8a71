"""Deleting assets for good: first their rows, then, once that is committed, their objects, and their room is free.

Between the two the objects stand in a table of their own, so that a death anywhere leaves nothing that is not deleted
later.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from accounts import alerts, storage_room
from gallery import storage
from gallery.documents import forget_words
from gallery.faultpoints import faultpoint
from gallery.models import Asset, AssetQuerySet, DiscardedObject, PurgedSource, ReferenceVersion

# Assets of one transaction.
BATCH = 200
# Objects deleted in one round, and at a time.
MOST_OBJECTS = 500
AT_ONCE = 8
# What the store does not delete is tried again after one, two, four … minutes.
RETRY_AFTER = timedelta(minutes=1)
LONGEST_RETRY = timedelta(days=1)
# After so many an administrator is told.
MOST_TRIES = 6


def expired(*, now: datetime) -> AssetQuerySet:
    """What has lain in the trash for `TRASH_DAYS`."""
    return Asset.objects.filter(trashed_at__lte=now - timedelta(days=settings.TRASH_DAYS))


def nothing() -> Collection[UUID]:
    """Nothing is to be spared."""
    return ()


def purge(rows: AssetQuerySet, *, spare: Callable[[], Collection[UUID]] = nothing, now: datetime, most: int) -> int:
    """Delete up to `most` of `rows` for good, the longest trashed first, but for those to `spare`; returns how many.

    What is to be spared is asked again for each batch, as work begins meanwhile. Their objects are deleted by whoever
    does `delete_discarded` next.
    """
    spared = spare()
    # Somewhat more are looked at, for those that are spared.
    ids = list(rows.order_by("trashed_at", "pk").values_list("pk", flat=True)[: most + len(spared)])
    chosen = [key for key in ids if key not in spared][:most]
    batches = (rows.filter(pk__in=chosen[at : at + BATCH]) for at in range(0, len(chosen), BATCH))
    return sum(_purge_batch(batch, spare, now) for batch in batches)


def delete_discarded(*, now: datetime, most: int = MOST_OBJECTS) -> int:
    """Delete what is due of the objects of purged assets, see that it is gone, and free its owners' room.

    Returns how many are gone. Raises StorageError where the store does not answer at all; what it does not delete is
    tried again later. Safe to run in several workers at once.
    """
    due = list(DiscardedObject.objects.filter(due_at__lte=now).order_by("due_at", "pk")[:most])
    if not due:
        return 0
    if connection.vendor != "sqlite" and not connection.in_atomic_block:
        # The store takes its time, and others want the connection.
        connection.close()
    storage.check()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="discard") as pool:
        gone = [row for row, deleted in zip(due, pool.map(_is_deleted, due), strict=True) if deleted]
    faultpoint("purge.deleted")
    _forget(gone)
    for row in (left := [row for row in due if row not in gone]):
        pause = min(RETRY_AFTER * 2 ** min(row.tries, 20), LONGEST_RETRY)
        DiscardedObject.objects.filter(pk=row.pk).update(tries=row.tries + 1, due_at=now + pause)
    _tell_of_stubborn([row.key for row in left if row.tries + 1 >= MOST_TRIES], now)
    return len(gone)


def _purge_batch(rows: AssetQuerySet, spare: Callable[[], Collection[UUID]], now: datetime) -> int:
    """One transaction. Whatever was taken out of `rows` meanwhile, or is to be spared by now, stays."""
    with transaction.atomic():
        assets = list(rows.order_by("pk").select_for_update(of=("self",)).prefetch_related("tags"))
        spared = spare()
        assets = [asset for asset in assets if asset.pk not in spared]
        ids = [asset.pk for asset in assets]
        _note_sources({asset.pk: asset for asset in assets})
        DiscardedObject.objects.bulk_create(_objects(assets, now), ignore_conflicts=True)
        Asset.objects.filter(pk__in=ids).delete()
        faultpoint("purge.before_commit")
    forget_words(assets)
    return len(ids)


def _objects(assets: Iterable[Asset], now: datetime) -> Iterator[DiscardedObject]:
    for asset in assets:
        yield DiscardedObject(key=asset.storage_key, owner_id=asset.owner_id, size_bytes=asset.size_bytes, due_at=now)
        for key in asset.derived_keys():
            yield DiscardedObject(key=key, owner_id=asset.owner_id, due_at=now)


def _note_sources(sources: dict[UUID, Asset]) -> None:
    """Let what was made of these assets, and stays, say so still."""
    links = Asset.made_from.through.objects.filter(to_asset__in=sources).exclude(from_asset__in=sources)
    made = list(links.values_list("from_asset", "to_asset", "from_asset__created_at"))
    if not made:
        return
    named: defaultdict[UUID | None, list[ReferenceVersion]] = defaultdict(list)
    for version in ReferenceVersion.objects.filter(asset__in=sources).order_by("version"):
        named[version.asset_id].append(version)
    rows = []
    for asset_id, source_id, at in made:
        source = sources[source_id]
        used = next((row for row in reversed(named[source_id]) if row.created_at <= at), None)
        rows.append(
            PurgedSource(
                asset_id=asset_id,
                source_id=source_id,
                kind=source.kind,
                frame_number=source.frame_number,
                output_index=source.output_index,
                title=source.title,
                reference_name=used.name if used else "",
                version=used.version if used else None,
            )
        )
    PurgedSource.objects.bulk_create(rows, ignore_conflicts=True)


def _is_deleted(row: DiscardedObject) -> bool:
    """Delete one object, and look."""
    try:
        storage.delete(row.key)
        return storage.size_of(row.key) is None
    except storage.StorageError:
        return False


def _tell_of_stubborn(keys: list[str], now: datetime) -> None:
    """Somebody has to know when the store goes on answering and does not delete."""
    if keys:
        detail = f"{len(keys)} objects were not deleted in {MOST_TRIES} tries or more; the first is {keys[0]}."
        alerts.note("objects_undeleted", detail, now=now)
    elif not DiscardedObject.objects.filter(tries__gte=MOST_TRIES).exists():
        alerts.over("objects_undeleted", now=now)


def _forget(gone: Collection[DiscardedObject]) -> None:
    """Free the room of what is gone; of two workers that have deleted the same object one frees it."""
    with transaction.atomic():
        rows = DiscardedObject.objects.filter(pk__in=[row.pk for row in gone])
        freed: Counter[int] = Counter()
        for row in rows.order_by("pk").select_for_update():
            freed[row.owner_id] += row.size_bytes
        rows.delete()
        for owner_id in sorted(freed):
            storage_room.free(user_id=owner_id, size_bytes=freed[owner_id])


def recount_room() -> list[str]:
    """Set right what users' storage is said to hold where it differs from its assets; a sentence for each."""
    return storage_room.recount(_held)


def _held(user_id: int) -> int:
    """What one owner's assets take, and what was deleted and is still there."""
    assets = Asset.objects.filter(owner=user_id).order_by()
    discarded = DiscardedObject.objects.filter(owner_id=user_id)
    return sum(rows.aggregate(bytes=Sum("size_bytes"))["bytes"] or 0 for rows in (assets, discarded))
