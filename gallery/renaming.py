"""Tags, collections and an owner's own categories renamed, merged and removed, a batch of assets at a time.

Words stand in the document that each asset is found by, so a new name is written into every one of them. A batch is a
transaction that leaves all in order: what breaks off has moved some assets and left the others, and the same rename
once more, `merging` by then, moves the rest. No asset is deleted, and reference names and their versions stay.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext

from gallery import descriptions, organising
from gallery.descriptions import BUILT_IN, InvalidDetails
from gallery.documents import NO_CATEGORY, write_documents
from gallery.models import Asset, Collection, CollectionItem, OwnCategory, Tag, Tagging
from gallery.organising import as_of
from gallery.turns import wait_turn

BATCH = 200
# Of one request; the rest is left to the next.
MOST_AT_ONCE = 5000

Named = Tag | Collection | OwnCategory
LONGEST: dict[type[Named], int] = {Tag: 60, Collection: 60, OwnCategory: 40}


@dataclass(frozen=True)
class Moved:
    """How many assets were changed; `finished` is False when more than `MOST_AT_ONCE` were to be."""

    assets: int
    finished: bool


class NameTaken(InvalidDetails):
    """There is another of this name; `rename` can merge the two."""


def rename(*, row: Named, name: str, now: datetime, merging: bool = False) -> Moved:
    """Call it `name` from now on; where that is another's name, that other one gets its assets when `merging`.

    Raises InvalidDetails, and NameTaken where merging would help.
    """
    name = _checked(row, name)
    if name == row.name:
        return Moved(0, finished=True)
    if isinstance(row, Collection) and _retitled(row, name):
        return Moved(0, finished=True)
    return _move_all(row, _named(row, name, now=now, merging=merging))


def remove(*, row: Named) -> Moved:
    """Take it off its assets, which stay, and delete it."""
    return _move_all(row, None)


def assets_with(row: Named) -> int:
    """How many assets have it, in the trash too; counted no further than one more than `MOST_AT_ONCE`."""
    return min(sum(rows[: MOST_AT_ONCE + 1].count() for rows in _bearing(row)), MOST_AT_ONCE + 1)


def ids_with(row: Named, *, most: int) -> list[UUID]:
    """Which assets have it, in the trash too; no more than `most`."""
    place = "pk" if isinstance(row, OwnCategory) else "asset_id"
    return [key for rows in _bearing(row) for key in rows.values_list(place, flat=True)[:most]][:most]


def _bearing(row: Named) -> list[QuerySet[Any]]:
    """What says of an asset that it has `row`; each of these has an index."""
    if isinstance(row, OwnCategory):
        rows = Asset.objects.filter(owner=row.owner_id)
        # In the trash by its index and one by one: what lies there is purged before it is much.
        return [rows.kept().filter(category=row.name), rows.in_trash().filter(category=row.name)]
    return [_placements(row)]


def _placements(row: Tag | Collection) -> QuerySet[Any]:
    return Tagging.objects.filter(tag=row) if isinstance(row, Tag) else CollectionItem.objects.filter(collection=row)


def _checked(row: Named, name: str) -> str:
    try:
        cleaned = descriptions.line(name, most=LONGEST[type(row)])
    except ValueError as error:
        raise InvalidDetails({"name": str(error)}) from None
    if isinstance(row, Tag) and "," in cleaned:
        raise InvalidDetails({"name": gettext("A comma stands between tags, so none can be in one.")})
    if not cleaned or (isinstance(row, OwnCategory) and cleaned.casefold() == NO_CATEGORY):
        raise InvalidDetails({"name": gettext("It needs a name of its own.")})
    if isinstance(row, OwnCategory) and cleaned.casefold() in BUILT_IN:
        return cleaned.casefold()
    return cleaned


def _retitled(row: Collection, name: str) -> bool:
    """Documents know a collection by its number: without another of this name nothing has to be moved."""
    try:
        with transaction.atomic():
            return Collection.objects.filter(pk=row.pk).update(name=name) == 1
    except IntegrityError:
        return False


def _named(row: Named, name: str, *, now: datetime, merging: bool) -> Named:
    """The one that gets the assets, made if there is none; of a category that everybody has, no row is kept.

    Raises NameTaken for one that was there, even since a moment ago, unless `merging`: nothing takes a merge back.
    """
    taken = NameTaken({"name": gettext("You have “%(name)s” already.") % {"name": name}})
    if isinstance(row, OwnCategory) and name in BUILT_IN:
        if not merging:
            raise taken
        return OwnCategory(owner_id=row.owner_id, name=name)
    defaults = {"created_at": now} if isinstance(row, Collection) else {}
    with transaction.atomic():
        wait_turn(row.owner_id)
        own = type(row)._default_manager.filter(owner_id=row.owner_id)
        found, is_new = own.get_or_create(owner_id=row.owner_id, name=name, defaults=defaults)
        if is_new:
            _check_room(row, own.exclude(pk=row.pk).count())
    if not is_new and not merging:
        raise taken
    return found


def _check_room(row: Named, others: int) -> None:
    """Raise InvalidDetails where more than are allowed stay without `row`: it may have got two new names at once."""
    if isinstance(row, OwnCategory) and others > descriptions.MOST_CATEGORIES:
        raise InvalidDetails({"name": descriptions.too_many_categories()})
    if isinstance(row, Collection) and others > organising.MOST_COLLECTIONS:
        raise InvalidDetails({"name": organising.too_many_collections()})


def _move_all(row: Named, to: Named | None) -> Moved:
    moved = 0
    while moved < MOST_AT_ONCE:
        try:
            count = _move_batch(row, to)
        except IntegrityError:
            raise InvalidDetails({"name": gettext(descriptions.JUST_REMOVED)}) from None
        moved += count
        if not count and delete_empty(row):
            return Moved(moved, finished=True)
    return Moved(moved, finished=False)


def _move_batch(row: Named, to: Named | None) -> int:
    """Move so many assets in one transaction; returns how many they were."""
    place = "pk" if isinstance(row, OwnCategory) else "asset_id"
    with transaction.atomic():
        ids = next((found for rows in _bearing(row) if (found := list(rows.values_list(place, flat=True)[:BATCH]))), [])
        assets = list(Asset.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
        if isinstance(row, OwnCategory):
            Asset.objects.filter(pk__in=ids, category=row.name).update(category=to.name if to else "")
        else:
            _place(row, to, assets)
        write_documents(ids)
    return len(ids)


def _place(row: Tag | Collection, to: Named | None, assets: list[Asset]) -> None:
    if isinstance(to, Tag):
        made = [Tagging(asset=asset, tag=to, **as_of(asset)) for asset in assets]
        Tagging.objects.bulk_create(made, ignore_conflicts=True)
    if isinstance(to, Collection):
        items = [CollectionItem(asset=asset, collection=to, **as_of(asset)) for asset in assets]
        CollectionItem.objects.bulk_create(items, ignore_conflicts=True)
    _placements(row).filter(asset__in=assets).delete()
    if isinstance(row, Tag) and to is None:
        is_tagged = Exists(Tagging.objects.filter(asset=OuterRef("pk")))
        Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(tagged=is_tagged)


def delete_empty(row: Named) -> bool:
    """Delete it, unless it was given to another asset meanwhile; locked, so that nobody can give it any more."""
    with transaction.atomic():
        locked = type(row)._default_manager.select_for_update().filter(pk=row.pk).first()
        if locked is not None and any(rows.exists() for rows in _bearing(row)):
            return False
        if locked is not None:
            locked.delete()
    return True
