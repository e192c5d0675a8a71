"""Which assets of an owner's fit, newest or oldest first: one reading for pages and API, on both databases.

Without words and with one filter at most, an index of the assets gives the page as it stands. Words, or filters that
combine, are asked of full-text search, where a filter is a term like a word. Neither way counts or skips rows, so a
page costs the same wherever it lies and however large the gallery is.
"""

from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, Subquery
from django.db.models.expressions import RawSQL
from django.utils import timezone

from accounts.api.cursor import Cursor, beyond
from accounts.models import User
from gallery import spelling, terms
from gallery.documents import NO_CATEGORY
from gallery.models import Asset, AssetQuerySet, Collection, CollectionItem, Tag, Tagging

LONGEST_QUERY = 200
# So many of the newest PostgreSQL looks through before it asks the index, which would give all that fit at once.
LOOKED_THROUGH = 6000
# Documents are numbered in the order of time, but for writes that overlapped.
OVERLAP = timedelta(hours=1)
# A date can say no more than a few days beyond these, and in some time zones not even that.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9900, 1, 1)

# The document of the cursor's asset; where that is gone, the nearest one in time.
BEFORE = """{id} < coalesce(
    (SELECT id FROM gallery_assetdocument WHERE asset_id = %s),
    (SELECT id FROM gallery_assetdocument WHERE owner_id = %s AND created_at < %s ORDER BY created_at DESC LIMIT 1) + 1,
    0)"""
AFTER = """{id} > coalesce(
    (SELECT id FROM gallery_assetdocument WHERE asset_id = %s),
    (SELECT id FROM gallery_assetdocument WHERE owner_id = %s AND created_at > %s ORDER BY created_at LIMIT 1) - 1,
    9223372036854775807)"""
SINCE = """d.created_at >= %s AND {id} >= coalesce(
    (SELECT id FROM gallery_assetdocument WHERE owner_id = %s AND created_at >= %s ORDER BY created_at LIMIT 1),
    9223372036854775807)"""
UNTIL = """d.created_at < %s AND {id} <= coalesce(
    (SELECT id FROM gallery_assetdocument WHERE owner_id = %s AND created_at <= %s ORDER BY created_at DESC LIMIT 1),
    0)"""

# FTS5 keeps its lists in the order of the documents' numbers and walks them from either end: nothing is sorted.
SQLITE = """
    SELECT d.asset_id FROM gallery_assetterms CROSS JOIN gallery_assetdocument d ON d.id = gallery_assetterms.rowid
    WHERE gallery_assetterms MATCH %s AND d.terms LIKE %s AND {where}
    ORDER BY gallery_assetterms.rowid {order} LIMIT %s
"""

# A GIN index gives all that fit, in no order. What fits often is found among the newest without it; only when they do
# not fill the page is the index asked, and then it does not give much. `id + 0` keeps the planner from reading all.
POSTGRESQL = """
    WITH recent AS MATERIALIZED (
        SELECT id, asset_id FROM (
            SELECT id, asset_id, terms FROM gallery_assetdocument d
            WHERE owner_id = %s AND kept = %s AND {where} ORDER BY id {order} LIMIT {newest}
        ) looked_through WHERE terms @@ %s::tsquery ORDER BY id {order} LIMIT %s
    )
    SELECT asset_id FROM recent WHERE (SELECT count(*) FROM recent) = %s
    UNION ALL (
        SELECT asset_id FROM gallery_assetdocument d
        WHERE (SELECT count(*) FROM recent) < %s AND terms @@ %s::tsquery AND {few}
        ORDER BY id + 0 {order} LIMIT %s
    )
"""


@dataclass(frozen=True)
class Wanted:
    """What is looked for; what is left out does not matter. `category` may be "none", a collection goes by its name."""

    kind: str = ""
    origin: str = ""
    model: str = ""
    category: str = ""
    favourite: bool | None = None
    tagged: bool | None = None
    tag: str = ""
    collection: str = ""
    q: str = ""
    since: date | None = None
    until: date | None = None
    trash: bool = False
    facets: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = ("kind", "origin", "model", "category", "favourite", "tagged", "tag", "collection")
        given = {name: getattr(self, name) for name in names}
        object.__setattr__(self, "facets", {name: value for name, value in given.items() if value not in ("", None)})

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Wanted":
        """From what a form or serializer has understood; its other members are passed over."""
        names = {item.name for item in fields(cls) if item.init}
        return cls(**{name: value for name, value in given.items() if name in names})

    def within(self) -> Q:
        """The dates as a condition on `created_at`; days are those of the time zone in force."""
        condition = Q()
        if self.since:
            condition &= Q(created_at__gte=midnight(self.since))
        if self.until:
            condition &= Q(created_at__lt=end_of(self.until))
        return condition


def midnight(day: date) -> datetime:
    """Where a day begins; of one beyond all galleries, where the nearest does that has a day on either side."""
    return timezone.make_aware(datetime.combine(min(max(day, FIRST_DAY), LAST_DAY), time.min))


def end_of(day: date) -> datetime:
    """Where the next one begins."""
    return midnight(min(day, LAST_DAY) + timedelta(days=1))


def find_assets(*, owner: User, wanted: Wanted, cursor: Cursor | None, oldest: bool = False, most: int) -> list[Asset]:
    """At most `most` of the owner's assets that fit, from the cursor on; with `oldest` the oldest first."""
    words = terms.words(wanted.q)[: terms.MOST_ASKED]
    if wanted.q and not words:
        return []
    if wanted.collection:
        collection = Collection.objects.filter(owner=owner, name=wanted.collection).first()
        if collection is None:
            return []
        wanted.facets["collection"] = collection.pk
    place = Cursor(cursor.at, cursor.id, newer=oldest) if cursor else None
    if words or len(wanted.facets) + wanted.trash > 1:
        return _by_terms(owner, wanted, words, place, oldest=oldest, most=most)
    if {"tag", "collection"} & set(wanted.facets):
        rows = Asset.objects.filter(pk__in=_placed(owner, wanted, place, oldest=oldest)[:most].values("asset"))
        return sorted(rows, key=lambda asset: (asset.created_at, asset.pk), reverse=not oldest)
    rows = _by_index(owner, wanted)
    rows = rows.filter(beyond(place)) if place else rows
    order = ("created_at", "pk") if oldest else ("-created_at", "-pk")
    return list(rows.order_by(*order)[:most])


def meant_instead(*, owner: User, wanted: Wanted) -> str:
    """The words that may have been meant where `find_assets` found nothing: with them there is something; "" if not."""
    instead = spelling.corrected(owner=owner, q=wanted.q)
    if instead and find_assets(owner=owner, wanted=replace(wanted, q=instead), cursor=None, most=1):
        return instead
    return ""


@dataclass(frozen=True)
class SizeCursor:
    """A place in the order of size: what is smaller than (`size_bytes`, `id`)."""

    size_bytes: int
    id: UUID

    @classmethod
    def read(cls, text: str) -> "SizeCursor":
        """Raises ValueError."""
        size, _, key = text.partition("-")
        return cls(int(size[:18]), UUID(key))

    @classmethod
    def behind(cls, asset: Asset) -> "SizeCursor":
        """The place after an asset."""
        return cls(asset.size_bytes, asset.pk)

    def __str__(self) -> str:
        return f"{self.size_bytes}-{self.id.hex}"


def largest_assets(*, owner: User, cursor: SizeCursor | None, most: int) -> list[Asset]:
    """The owner's assets that are kept, those first that take the most room."""
    rows = Asset.objects.for_owner(owner).kept()
    if cursor:
        further = Q(size_bytes__lt=cursor.size_bytes) | Q(pk__lt=cursor.id)
        rows = rows.filter(further, size_bytes__lte=cursor.size_bytes)
    return list(rows.order_by("-size_bytes", "-pk")[:most])


def _by_index(owner: User, wanted: Wanted) -> AssetQuerySet:
    rows = Asset.objects.for_owner(owner).filter(wanted.within())
    rows = rows.in_trash() if wanted.trash else rows.kept()
    facets = {
        name: "" if (name, value) == ("category", NO_CATEGORY) else value for name, value in wanted.facets.items()
    }
    return rows.filter(**facets)


def _placed(owner: User, wanted: Wanted, place: Cursor | None, *, oldest: bool) -> Any:
    rows: Any
    if wanted.tag:
        # Its number first, so that the index gives the rest in order; a join would sort all that have the tag.
        tag = Tag.objects.filter(owner=owner, name=wanted.tag).values("pk")[:1]
        rows = Tagging.objects.filter(tag=Subquery(tag))
    else:
        rows = CollectionItem.objects.filter(collection=wanted.facets["collection"])
    rows = rows.filter(wanted.within(), kept=True)
    if place:
        on = "gt" if oldest else "lt"
        further = Q(**{f"created_at__{on}": place.at}) | Q(**{f"asset__{on}": place.id})
        rows = rows.filter(further, **{f"created_at__{on}e": place.at})
    return rows.order_by("created_at", "asset_id") if oldest else rows.order_by("-created_at", "-asset_id")


def _by_terms(
    owner: User, wanted: Wanted, words: list[str], place: Cursor | None, *, oldest: bool, most: int
) -> list[Asset]:
    scope = terms.scope(owner.pk, kept=not wanted.trash)
    facets = [
        terms.facet(name, int(value) if isinstance(value, bool) else value) for name, value in wanted.facets.items()
    ]
    match = terms.query(facets, words, scope=scope, vendor=connection.vendor)
    where, given = _bounds(owner, wanted, place, oldest=oldest)
    order = "ASC" if oldest else "DESC"
    if connection.vendor == "postgresql":
        sql = POSTGRESQL.format(
            where=where.format(id="d.id"), few=where.format(id="(d.id + 0)"), order=order, newest=LOOKED_THROUGH
        )
        parameters = [owner.pk, not wanted.trash, *given, match, most, most, most, match, *given, most]
    else:
        sql = SQLITE.format(where=where.format(id="gallery_assetterms.rowid"), order=order)
        parameters = [match, f"% {terms.unlisted_beginning(words)}%", *given, most]
    found = RawSQL(sql, parameters)  # noqa: S611  (the text is ours; what was given is in the parameters)  # nosec B611
    rows = Asset.objects.filter(pk__in=found).annotate(number=F("document__id"))
    return sorted(rows, key=lambda asset: asset.number, reverse=not oldest)  # type: ignore[attr-defined]


def _bounds(owner: User, wanted: Wanted, place: Cursor | None, *, oldest: bool) -> tuple[str, list[Any]]:
    """Where to begin and to end, as SQL on a document's number `{id}` and its time, and the values for it."""
    conditions, given = ["TRUE"], []
    moment = connection.ops.adapt_datetimefield_value
    if place:
        conditions.append(AFTER if oldest else BEFORE)
        given += [Asset._meta.pk.get_db_prep_value(place.id, connection), owner.pk, moment(place.at)]
    if wanted.since:
        conditions.append(SINCE)
        first = midnight(wanted.since)
        given += [moment(first), owner.pk, moment(first - OVERLAP)]
    if wanted.until:
        conditions.append(UNTIL)
        end = end_of(wanted.until)
        given += [moment(end), owner.pk, moment(end + OVERLAP)]
    return " AND ".join(conditions), given
