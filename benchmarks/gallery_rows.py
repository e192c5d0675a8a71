"""The assets that `benchmarks.gallery` measures, written straight into the tables: `… gallery_rows COUNT`.

Every filter leaves as many frames on the first page of a thousand as on that of a million. Prints the session keys of
the owner and of a stranger with ten assets.
"""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import django

BATCH = 10_000
PAGE = 40
DEEP_PAGE = 20_000
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=30)
# As many with the very same time, so that a cursor has to tell them apart.
SAME_TIME = range(500_000, 510_000)
VEO = "google/veo-3"
FILTERS = {
    "plain": "",
    "kind": "kind=video",
    "model": f"model={VEO}",
    "origin": "origin=upload",
    "category": "category=places",
    "uncategorised": "category=none",
    "favourite": "favourite=1",
    "tag": "tag=harbour",
    "rare tag": "tag=pier",
    "collection": "collection=Night+ferry",
    "untagged": "tagged=0",
    "dates": "since=2024-01-01&until=2024-01-01",
    "oldest": "sort=oldest",
    "half": "q=cinematic",
    "half, begun": "q=cinem",
    "1 in 100": "q=lighthouse",
    "1 in 2000": "q=zeppelin",
    "ten in all": "q=quetzal",
    "two words": "q=cinematic+lighthouse",
    "model, favourite, tag": f"model={VEO}&favourite=1&tag=harbour",
    "word, model, favourite": f"q=zeppelin&model={VEO}&favourite=1",
    "nothing fits both": f"model={VEO}&category=props",
}
# What is also read deep: those that have the pages.
DEEP: dict[str, Callable[[int, int], bool]] = {
    "plain": lambda n, count: True,
    "oldest": lambda n, count: True,
    "kind": lambda n, count: n % 10 == 0,
    "uncategorised": lambda n, count: category(n, count) == "",
    "half": lambda n, count: n % 2 == 0,
    "two words": lambda n, count: n % rarely(100, count) == 0,
}


def rarely(one_in: int, count: int) -> int:
    """One in so many, but at least fifty in all."""
    return one_in if count >= (PAGE + 1) * one_in else max(1, count // 50)


def category(n: int, count: int) -> str:
    """A twentieth are places, a thousandth props, most nothing."""
    return "places" if n % rarely(20, count) == 1 else "props" if n % 1000 == 7 else ""


def created_at(n: int) -> datetime:
    """Half a minute apart, but for ten thousand at once."""
    return BEGAN + STEP * (SAME_TIME.start if n in SAME_TIME else n)


def key(n: int) -> uuid.UUID:
    """In the order of time."""
    return uuid.UUID(int=(1 << 120) + n)


def deep_cursor(name: str, count: int) -> str:
    """Where page 20,000 of this filter begins, or the last page that is full."""
    from accounts.api.cursor import Cursor

    oldest = name == "oldest"
    fitting = [n for n in range(count) if DEEP[name](n, count)]
    order = fitting if oldest else fitting[::-1]
    last = order[min(PAGE * (DEEP_PAGE - 1), len(order) - PAGE - 1) - 1]
    return str(Cursor(created_at(last), key(last), newer=oldest))


def main(count: int) -> None:
    """Fill the database of the environment, and print the session keys."""
    from django.db import connection, transaction

    from accounts.models import User
    from gallery.models import Collection, Tag

    owner, stranger = (User.objects.create_user(name, f"{name}@example.com") for name in ("owner", "stranger"))
    tags = [Tag.objects.create(owner=owner, name=name) for name in ("harbour", "pier")]
    collection = Collection.objects.create(owner=owner, name="Night ferry", created_at=BEGAN)
    with connection.cursor() as cursor:
        loosen(cursor)
    rows = Rows(owner.pk, count, tags=[tag.pk for tag in tags], collection=collection.pk)
    with transaction.atomic():
        for start in range(0, count, BATCH):
            rows.write(range(start, min(start + BATCH, count)))
        rows.owner_id, rows.offset = stranger.pk, count
        rows.write(range(10))
    with connection.cursor() as cursor:
        tighten(cursor)
    print(json.dumps({"owner": session(owner), "stranger": session(stranger)}))


def loosen(cursor: Any) -> None:
    """The index of search is made once at the end, as after any import of this size."""
    from django.db import connection

    if connection.vendor == "postgresql":
        cursor.execute("DROP INDEX document_terms")
        return
    # Two megabytes, the default, would send every page of a dozen indexes to the disk and back.
    cursor.execute("PRAGMA cache_size = -1000000")
    for event in ("written", "removed", "rewritten"):
        cursor.execute(f"DROP TRIGGER document_{event}")


def tighten(cursor: Any) -> None:
    """The index again, and what the planner is to know."""
    from importlib import import_module

    from django.db import connection

    if connection.vendor == "postgresql":
        search = import_module("gallery.migrations.0006_search")
        for statement in (*search.POSTGRESQL, "VACUUM ANALYZE"):
            cursor.execute(statement)
        return
    for statement in import_module("gallery.migrations.0012_own_facets").SQLITE[1:]:
        cursor.execute(statement)


class Rows:
    """Assets by number, with their tags, collections and documents."""

    def __init__(self, owner_id: int, count: int, *, tags: list[int], collection: int) -> None:
        self.owner_id, self.count, self.offset = owner_id, count, 0
        self.tags, self.collection = tags, collection

    def write(self, numbers: Iterable[int]) -> None:
        """These, into all four tables."""
        from gallery.models import Asset, AssetDocument, CollectionItem, Tagging

        numbers = list(numbers)
        insert(Asset, [self.asset(n) for n in numbers])
        insert(AssetDocument, [self.document(n) for n in numbers])
        if self.offset == 0:
            insert(Tagging, [row for n in numbers for row in self.taggings(n)])
            lying = [n for n in numbers if n % rarely(200, self.count) == 5]
            insert(CollectionItem, [self.placed(n) | {"collection_id": self.collection} for n in lying])

    def asset(self, n: int) -> dict[str, Any]:
        """One row of the gallery."""
        upload = n % rarely(50, self.count) == 3
        film = n % 10 == 0
        return {
            "id": key(self.offset + n),
            "owner_id": self.owner_id,
            "kind": "video" if film else "image",
            "origin": "upload" if upload else "generated",
            "created_at": created_at(n),
            "storage_key": f"{self.owner_id}/{n}",
            "content_type": "video/mp4" if film else "image/webp",
            "size_bytes": 1_000_000 + n,
            "sha256": f"{self.offset + n:064x}",
            "width": 1024,
            "height": 576,
            "duration_seconds": 5.0 if film else None,
            "thumbnail_key": f"{self.owner_id}/{n}-thumbnail",
            "placeholder": "334455887766aa9988",
            "frame_number": n + 1,
            "model": self.model(n),
            "prompt": " ".join(self.words(n)),
            "category": category(n, self.count),
            "favourite": n % rarely(100, self.count) == 0,
            "tagged": bool(self.tag_names(n)),
        }

    def model(self, n: int) -> str:
        """Films are of one model, pictures of three."""
        return VEO if n % 10 == 0 else ("google/nano-banana", "bytedance/seedream-4", "bfl/flux-2-pro")[n % 3]

    def words(self, n: int) -> list[str]:
        """A prompt of ten words, most of them anybody's."""
        said = [f"w{(n * 7919 + place * 104_729) % 20_011}" for place in range(8)]
        for word, one_in in (("cinematic", 2), ("lighthouse", rarely(100, self.count)), ("zeppelin", 2000)):
            if n % rarely(one_in, self.count) == 0:
                said.append(word)
        return [*said, "quetzal"] if n < 10 and self.offset == 0 else said

    def tag_names(self, n: int) -> list[str]:
        """Those of one asset."""
        steps = {"harbour": rarely(20, self.count), "pier": max(1, self.count // 50)}
        return [name for name, step in steps.items() if n % step == 0 and self.offset == 0]

    def document(self, n: int) -> dict[str, Any]:
        """What it is found by, in the words of the product."""
        from django.db import connection

        from gallery import terms

        asset = self.asset(n)
        facets = [
            facet(name, int(asset[name]) if name in ("favourite", "tagged") else asset[name] or "none")
            for name in ("kind", "origin", "model", "category", "favourite", "tagged")
        ]
        lying = [facet("collection", self.collection)] if n % rarely(200, self.count) == 5 and not self.offset else []
        found = [*facets, *lying, *(facet("tag", name) for name in self.tag_names(n)), *self.words(n)]
        scope = terms.scope(self.owner_id, kept=True)
        return {
            "asset_id": asset["id"],
            "owner_id": self.owner_id,
            "created_at": asset["created_at"],
            "kept": True,
            "terms": terms.document(found, scope=scope, vendor=connection.vendor),
        }

    def taggings(self, n: int) -> Iterator[dict[str, Any]]:
        """One row for each tag."""
        for name in self.tag_names(n):
            yield self.placed(n) | {"tag_id": self.tags[0 if name == "harbour" else 1]}

    def placed(self, n: int) -> dict[str, Any]:
        """What tags and collections note of an asset."""
        return {"asset_id": key(n), "created_at": created_at(n), "kept": True}


@cache
def facet(name: str, value: object) -> str:
    """The same term is asked for a million times."""
    from gallery import terms

    return terms.facet(name, value)


def insert(model: Any, rows: list[dict[str, Any]]) -> None:
    """As fast as each database takes rows; what is not given has its default."""
    from django.db import connection

    if not rows:
        return
    fields = [field for field in model._meta.concrete_fields if field.column in rows[0] or field.column != "id"]
    names = ", ".join(f'"{field.column}"' for field in fields)
    given = [[row[field.column] if field.column in row else field.get_default() for field in fields] for row in rows]
    ready = [[f.get_db_prep_save(v, connection) for f, v in zip(fields, row, strict=True)] for row in given]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {model._meta.db_table} ({names}) FROM STDIN") as copy:
                for row in ready:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"INSERT INTO {model._meta.db_table} ({names}) VALUES ({marks})", ready)


def session(user: Any) -> str:
    """The key of a session in which the user is signed in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from accounts.sessions import SessionStore

    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")
    django.setup()
    main(int(sys.argv[1]))
