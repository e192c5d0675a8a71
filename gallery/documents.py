"""The documents that assets are found by, kept beside what they are made of."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from accounts.statements import insert
from gallery import spelling, terms
from gallery.models import Asset, AssetDocument

NO_CATEGORY = "none"


def write_documents(ids: Iterable[UUID]) -> None:
    """Write anew what these assets are found by. Belongs into the transaction that changes them, at its end."""
    assets = Asset.objects.filter(pk__in=list(ids)).order_by("created_at", "pk").prefetch_related("tags", "collections")
    shelves = [([tag.name for tag in one.tags.all()], [box.pk for box in one.collections.all()]) for one in assets]
    _write([(asset, *lies_in) for asset, lies_in in zip(assets, shelves, strict=True)])


def enter_document(asset: Asset) -> None:
    """The same for one that is just being made: it has no document, and nobody has tagged it or put it anywhere."""
    found = terms_of(asset, tags=[], collections=[])
    [kept] = insert(_document(asset, found), asking=[spelling.known(asset.owner_id, found)])
    spelling.learn(owner_id=asset.owner_id, words=found, kept=(kept or "").split())


def _document(asset: Asset, found: list[str]) -> AssetDocument:
    kept = asset.trashed_at is None
    scope = terms.scope(asset.owner_id, kept=kept)
    written = terms.document(found, scope=scope, vendor=connection.vendor)
    return AssetDocument(asset=asset, owner_id=asset.owner_id, created_at=asset.created_at, kept=kept, terms=written)


def _write(assets: Iterable[tuple[Asset, list[str], list[int]]]) -> None:
    """Each with the names of its tags and the numbers of its collections."""
    documents, words = [], dict[int, set[str]]()
    for asset, tags, collections in assets:
        found = terms_of(asset, tags=tags, collections=collections)
        words.setdefault(asset.owner_id, set()).update(found)
        documents.append(_document(asset, found))
    AssetDocument.objects.bulk_create(
        documents, update_conflicts=True, unique_fields=["asset"], update_fields=["kept", "terms"]
    )
    for owner_id, written in sorted(words.items()):
        spelling.learn(owner_id=owner_id, words=written)


def forget_words(assets: Iterable[Asset]) -> None:
    """Let words go that only these had, which are deleted by now; their `tags` were prefetched."""
    words = dict[int, set[str]]()
    for asset in assets:
        found = terms_of(asset, tags=[tag.name for tag in asset.tags.all()], collections=[])
        words.setdefault(asset.owner_id, set()).update(found)
    for owner_id, written in words.items():
        spelling.forget(owner_id=owner_id, words=written)


def terms_of(asset: Asset, *, tags: list[str], collections: list[int]) -> list[str]:
    """All the terms of one asset; its tags and collections are given, so that migrations can ask too.

    Tags count by name. A collection counts by its number, so that it can be renamed and deleted at once.
    """
    facets = [
        terms.facet("kind", asset.kind),
        terms.facet("origin", asset.origin),
        terms.facet("model", asset.model),
        terms.facet("category", asset.category or NO_CATEGORY),
        terms.facet("favourite", int(asset.favourite)),
        terms.facet("tagged", int(bool(tags))),
        *(terms.facet("tag", name) for name in tags),
        *(terms.facet("collection", key) for key in collections),
    ]
    written = [
        asset.title,
        asset.reference_name,
        str(asset.frame_number or ""),
        asset.model,
        asset.category,
        *tags,
        asset.prompt,
        asset.notes,
    ]
    return [*facets, *(word for text in written for word in terms.words(text))][: terms.MOST_WORDS]
