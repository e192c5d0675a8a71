"""What stands beside an asset on its page: neighbours, sources, results and twins, all of them in one statement."""

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import CharField, Exists, OuterRef, Value

from accounts.api.cursor import Cursor, beyond
from gallery.library import same_files
from gallery.models import Asset, ReferenceVersion

MOST_RELATIVES: Final = 12
MOST_TWINS: Final = 4


@dataclass(frozen=True)
class Relatives:
    """At most `MOST_RELATIVES` sources and results, the newest first, and `MOST_TWINS` twins, the oldest first."""

    older: Asset | None
    newer: Asset | None
    sources: list[Asset]
    # Those of them that go or went by a reference name.
    named: list[Asset]
    results: list[Asset]
    twins: list[Asset]


def relatives_of(asset: Asset) -> Relatives:
    """Neighbours are the next of the same owner; what was put in the trash is nobody's neighbour, result or twin."""
    own = Asset.objects.filter(owner_id=asset.owner_id).kept()
    kinds = {
        "older": own.filter(beyond(Cursor.beside(asset))).order_by("-created_at", "-pk")[:1],
        "newer": own.filter(beyond(Cursor.beside(asset, newer=True))).order_by("created_at", "pk")[:1],
        "sources": asset.made_from.all()[:MOST_RELATIVES],
        "results": asset.made_into.filter(trashed_at=None)[:MOST_RELATIVES],
        "twins": same_files(asset)[:MOST_TWINS],
    }
    names = ReferenceVersion.objects.filter(asset=OuterRef("pk"))
    # SQLite takes no slice as a part of a UNION, but looks its rows up in one.
    first, *others = (
        Asset.objects.order_by()
        .filter(pk__in=part.values("pk"))
        .annotate(relation=Value(kind, output_field=CharField()), has_name=Exists(names))
        for kind, part in kinds.items()
    )
    rows: list[Any] = sorted(first.union(*others, all=True), key=lambda row: (row.created_at, row.pk), reverse=True)
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for row in rows:
        found[row.relation].append(row)
    return Relatives(
        older=next(iter(found["older"]), None),
        newer=next(iter(found["newer"]), None),
        sources=found["sources"],
        named=[row for row in found["sources"] if row.has_name],
        results=found["results"],
        twins=found["twins"][::-1],
    )
