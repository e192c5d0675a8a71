"""The way back from what was done with many assets, or with a name of theirs: what changed since stays as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.translation import gettext

from accounts.models import User
from gallery import renaming
from gallery.descriptions import InvalidDetails, add_category
from gallery.models import Collection, OwnCategory, Tag
from gallery.organising import MOST_AT_ONCE, Change, Step, organise_assets
from gallery.renaming import Named
from gallery.turns import wait_turn

KINDS: dict[str, type[Named]] = {"tag": Tag, "collection": Collection, "category": OwnCategory}
# What was removed from more assets than this is not kept to be put back.
MOST_REMEMBERED = 1000


@dataclass(frozen=True)
class WayBack:
    """Steps, or a rename: of which kind, what it is called now, and what it was called."""

    steps: Sequence[Step] = ()
    renamed: tuple[str, str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.steps or self.renamed)

    def written(self) -> dict[str, Any]:
        """In words that JSON has."""
        steps = [
            {
                "change": asdict(step.change),
                "ids": [key.hex for key in step.ids],
                "still": step.still,
                "made": step.made,
            }
            for step in self.steps
        ]
        return {"steps": steps, "renamed": self.renamed}

    @classmethod
    def read(cls, written: dict[str, Any]) -> "WayBack":
        """From what `written` gave."""
        steps = [
            Step(Change(**step["change"]), [UUID(key) for key in step["ids"]], step["still"], step["made"])
            for step in written["steps"]
        ]
        if not written["renamed"]:
            return cls(steps)
        kind, name, before = written["renamed"]
        return cls(steps, (kind, name, before))


def from_removal(row: Named) -> WayBack:
    """How `row` comes back to its assets once it is removed; nowhere when these are too many."""
    ids = renaming.ids_with(row, most=MOST_REMEMBERED + 1)
    if len(ids) > MOST_REMEMBERED:
        return WayBack()
    changes = {
        Tag: Change(add_tags=[row.name]),
        Collection: Change(collect=row.name),
        OwnCategory: Change(category=row.name),
    }
    still = {"category": ""} if isinstance(row, OwnCategory) else {}
    # Also where no asset has it, the name is made again.
    return WayBack([Step(changes[type(row)], part, still) for part in _parts(ids)])


def _parts(ids: list[UUID]) -> Iterator[list[UUID]]:
    for start in range(0, max(len(ids), 1), MOST_AT_ONCE):
        yield ids[start : start + MOST_AT_ONCE]


def take_back(*, owner: User, way: WayBack, now: datetime) -> int:
    """Go back, all or nothing; returns how many assets are as they were. Raises InvalidDetails.

    Another's assets, and those that were changed again meanwhile, are not touched.
    """
    if way.renamed:
        return _named_again(owner, *way.renamed, now=now)
    touched: set[UUID] = set()
    with transaction.atomic():
        wait_turn(owner.pk)
        for step in way.steps:
            if step.change.category:
                add_category(owner_id=owner.pk, name=step.change.category)
            done = organise_assets(owner=owner, ids=step.ids, change=step.change, now=now, still=step.still)
            touched |= done.ids
    for step in way.steps:
        if step.made:
            _forget(owner, step.change)
    return len(touched)


def _named_again(owner: User, kind: str, name: str, before: str, *, now: datetime) -> int:
    rows: QuerySet[Model] = KINDS[kind]._default_manager.filter(owner=owner, name=name)
    row: Named | None = rows.first()  # type: ignore[assignment]  # of one of the three kinds
    if row is None:
        raise InvalidDetails({"name": gettext("It was changed again since.")})
    count = renaming.assets_with(row)
    moved = renaming.rename(row=row, name=before, now=now)
    if not moved.finished:
        raise InvalidDetails({"name": gettext("It is on too many frames to be undone at once.")})
    return count


def _forget(owner: User, change: Change) -> None:
    """Names that the act had made, unless somebody has given them to another asset, or shared them, meanwhile."""
    tags = Tag.objects.filter(owner=owner, name__in=change.remove_tags)
    collections = Collection.objects.filter(owner=owner, name=change.uncollect, share_links=None)
    rows: list[Tag | Collection] = [*tags, *collections]
    for row in rows:
        renaming.delete_empty(row)
