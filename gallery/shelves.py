"""What an owner's gallery is ordered by: tags, collections, categories and models, each with its count while small."""

from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Model, Value
from django.db.models.expressions import RawSQL

from accounts.models import User
from gallery.models import Asset, Collection, OwnCategory, Tag

MOST_NAMES = 100
# Counted no further: "99+". A count over a whole table would grow with it.
COUNTED = 100

# One statement for all menus. Models are found by leaps through their index, not by looking at every asset. What is put
# into it are the two numbers above.
NAMES = """
    WITH RECURSIVE model(name, place) AS (
        SELECT CAST((SELECT model FROM gallery_asset WHERE owner_id = %s AND trashed_at IS NULL AND model > ''
                     ORDER BY model LIMIT 1) AS text), 1
        UNION ALL
        SELECT CAST((SELECT model FROM gallery_asset WHERE owner_id = %s AND trashed_at IS NULL AND model > m.name
                     ORDER BY model LIMIT 1) AS text), place + 1
        FROM model m WHERE m.name IS NOT NULL AND place < {names}
    )
    SELECT 'tag', name, (SELECT count(*) FROM (SELECT 1 FROM gallery_tagging WHERE tag_id = t.id AND kept
                                               LIMIT {counted}) c)
    FROM (SELECT id, name FROM gallery_tag WHERE owner_id = %s ORDER BY name LIMIT {names}) t
    UNION ALL
    SELECT 'collection', name, (SELECT count(*) FROM (SELECT 1 FROM gallery_collectionitem WHERE collection_id = t.id
                                                      AND kept LIMIT {counted}) c)
    FROM (SELECT id, name FROM gallery_collection WHERE owner_id = %s ORDER BY name LIMIT {names}) t
    UNION ALL
    SELECT 'category', name, (SELECT count(*) FROM (SELECT 1 FROM gallery_asset WHERE owner_id = %s
                                                    AND trashed_at IS NULL AND category = t.name LIMIT {counted}) c)
    FROM (SELECT '' AS name UNION ALL SELECT 'people' UNION ALL SELECT 'places' UNION ALL SELECT 'props'
          UNION ALL SELECT 'layouts' UNION ALL SELECT 'styles'
          UNION ALL SELECT name FROM gallery_owncategory WHERE owner_id = %s) t
    UNION ALL
    SELECT 'model', name, (SELECT count(*) FROM (SELECT 1 FROM gallery_asset WHERE owner_id = %s
                                                 AND trashed_at IS NULL AND model = m.name LIMIT {counted}) c)
    FROM model m WHERE name IS NOT NULL
    UNION ALL
    SELECT 'untagged', '', count(*) FROM (SELECT 1 FROM gallery_asset WHERE owner_id = %s AND trashed_at IS NULL
                                          AND NOT tagged LIMIT {counted}) c
""".replace("{names}", str(MOST_NAMES)).replace("{counted}", str(COUNTED))  # both are numbers  # nosec B608


@dataclass
class Shelves:
    """Names with their counts, where `COUNTED` means that many or more. The category "" is none."""

    tags: dict[str, int] = field(default_factory=dict)
    collections: dict[str, int] = field(default_factory=dict)
    categories: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    untagged: int = 0


def shelves_of(owner: User) -> Shelves:
    """The owner's, at most a hundred of each kind, in one statement."""
    found = Shelves()
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [owner.pk] * NAMES.count("%s"))
        rows = cursor.fetchall()
    kinds = {
        "tag": found.tags,
        "collection": found.collections,
        "category": found.categories,
        "model": found.models,
    }
    for kind, name, count in rows:
        if kind == "untagged":
            found.untagged = count
        else:
            kinds[kind][name] = count
    return found


def lies_on(asset: Asset) -> tuple[list[str], list[str]]:
    """The names of the asset's tags and of its collections, each by name; one statement."""
    kinds = {"tag": asset.tags.order_by(), "collection": asset.collections.order_by()}
    tags, collections = (rows.values_list(Value(kind), "name") for kind, rows in kinds.items())
    found = sorted(tags.union(collections, all=True))
    return [name for kind, name in found if kind == "tag"], [name for kind, name in found if kind == "collection"]


def tags_beginning(*, owner: User, text: str, most: int = 20) -> list[str]:
    """The owner's tags that begin like `text`, for a field that completes itself."""
    return list(
        Tag.objects.filter(owner=owner, name__istartswith=text).order_by("name").values_list("name", flat=True)[:most]
    )


@dataclass(frozen=True)
class Name:
    """A tag, collection or category of an owner's own, and on how many frames it is, up to `COUNTED`."""

    id: int
    name: str
    count: int


# How many are on the frames that are kept, as it is counted for the menus.
COUNTS: dict[type[Model], str] = {
    Tag: "SELECT 1 FROM gallery_tagging WHERE tag_id = gallery_tag.id AND kept",
    Collection: "SELECT 1 FROM gallery_collectionitem WHERE collection_id = gallery_collection.id AND kept",
    OwnCategory: "SELECT 1 FROM gallery_asset WHERE owner_id = gallery_owncategory.owner_id AND trashed_at IS NULL"
    " AND category = gallery_owncategory.name",
}


def names_with_counts(*, owner: User, model: type[Model], after: str, most: int) -> list[Name]:
    """The owner's of one kind by name, from behind `after` on, in one statement."""
    counted = f"(SELECT count(*) FROM ({COUNTS[model]} LIMIT {COUNTED}) c)"  # noqa: S608  (our own text)  # nosec B608
    count = RawSQL(counted, [])  # noqa: S611  (as above)  # nosec B611
    rows = model._default_manager.filter(owner=owner, name__gt=after).order_by("name")
    return [Name(*row) for row in rows.annotate(many=count).values_list("pk", "name", "many")[:most]]
