"""What an owner does with many assets at once: tag, categorise, collect, star."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef
from django.utils.translation import gettext

from accounts.models import User
from gallery import descriptions
from gallery.descriptions import InvalidDetails
from gallery.documents import write_documents
from gallery.models import Asset, Collection, CollectionItem, Tag, Tagging
from gallery.turns import wait_turn

MOST_AT_ONCE = 200
MOST_COLLECTIONS = 500


@dataclass(frozen=True)
class Change:
    """What is to be done with each of the assets; what is left out stays as it is. Collections go by name."""

    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    category: str | None = None
    favourite: bool | None = None
    collect: str = ""
    uncollect: str = ""


@dataclass(frozen=True)
class Step:
    """The opposite of a change, for those it has changed and that are `still` so; `made`: it had made the name."""

    change: Change
    ids: Sequence[UUID]
    still: Mapping[str, Any] = field(default_factory=dict)
    made: bool = False


@dataclass(frozen=True)
class Organised:
    """Which assets it were, and the steps that lead back."""

    ids: set[UUID]
    back: list[Step]


def organise_assets(
    *, owner: User, ids: Sequence[UUID], change: Change, now: datetime, still: Mapping[str, Any] | None = None
) -> Organised:
    """Change these of the owner's assets, all or none.

    A tag or collection that is named for the first time is made. Of a step back `still` is said: what is in the trash
    goes back with the others. Raises InvalidDetails.
    """
    if len(ids) > MOST_AT_ONCE:
        raise InvalidDetails({"assets": gettext("At most %(most)s at once.") % {"most": MOST_AT_ONCE}})
    change = _checked(owner, change)
    try:
        with transaction.atomic():
            if change.collect:
                wait_turn(owner.pk)
            own = Asset.objects.for_owner(owner)
            rows = own.kept() if still is None else own.filter(**still)
            assets = list(rows.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True))
            back = list(_steps_back(owner, assets, change)) if still is None else []
            _tag(owner, assets, change)
            _collect(owner, assets, change, now=now)
            said = {"category": change.category, "favourite": change.favourite}
            if plain := {name: value for name, value in said.items() if value is not None}:
                Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(**plain)
            write_documents(asset.pk for asset in assets)
    except IntegrityError:
        raise InvalidDetails({"assets": gettext(descriptions.JUST_REMOVED)}) from None
    return Organised({asset.pk for asset in assets}, back)


def _steps_back(owner: User, assets: list[Asset], change: Change) -> Iterator[Step]:
    """What undoes `change`, read before it is made: only of those that it changes."""
    ids = [asset.pk for asset in assets]
    if change.favourite is not None:
        other = [asset.pk for asset in assets if asset.favourite != change.favourite]
        yield Step(Change(favourite=not change.favourite), other, {"favourite": change.favourite})
    if change.category is not None:
        for before in sorted({asset.category for asset in assets} - {change.category}):
            had = [asset.pk for asset in assets if asset.category == before]
            yield Step(Change(category=before), had, {"category": change.category})
    if names := {*change.add_tags, *change.remove_tags}:
        known = set(Tag.objects.filter(owner=owner, name__in=names).values_list("name", flat=True))
        worn = Tagging.objects.filter(asset__in=ids, tag__owner=owner, tag__name__in=names)
        has = set(worn.values_list("tag__name", "asset_id"))
        for name in change.add_tags:
            bare = [key for key in ids if (name, key) not in has]
            yield Step(Change(remove_tags=[name]), bare, made=name not in known)
        for name in change.remove_tags:
            yield Step(Change(add_tags=[name]), [key for key in ids if (name, key) in has])
    yield from _collections_back(owner, ids, change)


def _collections_back(owner: User, ids: list[UUID], change: Change) -> Iterator[Step]:
    for name, is_in, opposite in (
        (change.collect, False, Change(uncollect=change.collect)),
        (change.uncollect, True, Change(collect=change.uncollect)),
    ):
        if not name:
            continue
        collection = Collection.objects.filter(owner=owner, name=name).first()
        lying = CollectionItem.objects.filter(collection=collection, asset__in=ids).values_list("asset_id", flat=True)
        inside = set(lying) if collection else set()
        yield Step(opposite, [key for key in ids if (key in inside) == is_in], made=collection is None and not is_in)


def _checked(owner: User, change: Change) -> Change:
    given: dict[str, Any] = {"tags": [*change.add_tags]}
    if change.category is not None:
        given["category"] = change.category
    cleaned = descriptions.checked(given, owner_id=owner.pk)
    return Change(
        add_tags=cleaned["tags"],
        remove_tags=descriptions.checked({"tags": [*change.remove_tags]}, owner_id=owner.pk)["tags"],
        category=cleaned.get("category"),
        favourite=change.favourite,
        collect=collection_name(change.collect),
        uncollect=collection_name(change.uncollect),
    )


def collection_name(value: str) -> str:
    """A collection's name as it is kept. Raises InvalidDetails."""
    try:
        return descriptions.line(value, most=60)
    except ValueError as error:
        raise InvalidDetails({"collection": str(error)}) from None


def _tag(owner: User, assets: list[Asset], change: Change) -> None:
    if not change.add_tags and not change.remove_tags:
        return
    tags = descriptions.own_tags(owner.pk, change.add_tags)
    Tagging.objects.bulk_create(
        [Tagging(asset=asset, tag=tag, **as_of(asset)) for asset in assets for tag in tags],
        ignore_conflicts=True,
    )
    Tagging.objects.filter(
        asset__in=assets, tag__in=Tag.objects.filter(owner=owner, name__in=change.remove_tags)
    ).delete()
    worn = Tagging.objects.filter(asset__in=assets).values("asset").annotate(tags=Count("pk"))
    if worn.filter(tags__gt=descriptions.MOST_TAGS).exists():
        raise InvalidDetails(
            {"tags": gettext("At most %(most)s tags are kept on one asset.") % {"most": descriptions.MOST_TAGS}}
        )
    is_tagged = Exists(Tagging.objects.filter(asset=OuterRef("pk")))
    Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(tagged=is_tagged)


def as_of(asset: Asset) -> dict[str, Any]:
    """What a placement knows of its asset."""
    return {"created_at": asset.created_at, "kept": asset.trashed_at is None}


def _collect(owner: User, assets: list[Asset], change: Change, *, now: datetime) -> None:
    if change.uncollect:
        lying = CollectionItem.objects.filter(asset__in=assets)
        lying.filter(collection__in=Collection.objects.filter(owner=owner, name=change.uncollect)).delete()
    if change.collect:
        collection = own_collection(owner=owner, name=change.collect, now=now)
        CollectionItem.objects.bulk_create(
            [CollectionItem(asset=asset, collection=collection, **as_of(asset)) for asset in assets],
            ignore_conflicts=True,
        )


def own_collection(*, owner: User, name: str, now: datetime) -> Collection:
    """The owner's collection of this name, made if there is none. Raises InvalidDetails."""
    own = Collection.objects.filter(owner=owner)
    if found := own.filter(name=name).first():
        return found
    with transaction.atomic():
        wait_turn(owner.pk)
        if found := own.filter(name=name).first():
            return found
        if own.count() >= MOST_COLLECTIONS:
            raise InvalidDetails({"collection": too_many_collections()})
        Collection.objects.bulk_create([Collection(owner=owner, name=name, created_at=now)], ignore_conflicts=True)
        return own.get(name=name)


def too_many_collections() -> str:
    """The sentence that refuses one more."""
    return gettext("At most %(most)s collections are kept.") % {"most": MOST_COLLECTIONS}
