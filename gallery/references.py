"""By which version of a reference name something was made, and which version the name has now."""

from collections.abc import Iterable
from dataclasses import dataclass

from gallery.models import Asset, ReferenceVersion


@dataclass(frozen=True)
class UsedReference:
    """`name` as it was when used; `current` is the newest version there is."""

    name: str
    version: int
    current: int


def references_used(*, asset: Asset, sources: Iterable[Asset]) -> list[UsedReference]:
    """The names under which `sources` went when `asset` was made of them, in one statement."""
    keys = [source.pk for source in sources]
    if not keys:
        return []
    own = ReferenceVersion.objects.filter(owner_id=asset.owner_id)
    versions = own.filter(name__in=own.filter(asset__in=keys).values("name")).order_by("name", "version")
    used: dict[str, int] = {}
    newest: dict[str, int] = {}
    for row in versions:
        newest[row.name] = row.version
        if row.asset_id in keys and row.created_at <= asset.created_at:
            used[row.name] = row.version
    return [UsedReference(name, version, newest[name]) for name, version in used.items()]
