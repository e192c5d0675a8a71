"""What creators had said of their assets before the library was laid is still said, and found."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.models import User
from gallery import spelling
from gallery.models import Asset, ReferenceVersion, Tagging
from gallery.tests.making import NOW
from gallery.tests.test_search import LAKE, found

BEFORE = [("gallery", "0003_derivatives")]


@pytest.mark.django_db(transaction=True)
def test_tags_names_and_words_are_taken_over() -> None:
    executor = MigrationExecutor(connection)
    latest = executor.loader.graph.leaf_nodes()
    old = executor.migrate(BEFORE).apps
    try:
        owner = User.objects.create_user("owner", "owner@example.com")
        rows = [
            old.get_model("gallery", "Asset").objects.create(
                owner_id=owner.pk,
                kind="image",
                origin="upload",
                created_at=NOW,
                trashed_at=NOW if key == "aside" else None,
                storage_key=key,
                size_bytes=1,
                width=1,
                height=1,
                prompt=LAKE,
                reference_name=key,
            )
            for key in ("kept", "aside", "bare")
        ]
        tag = old.get_model("gallery", "Tag").objects.create(owner_id=owner.pk, name="water")
        for row in rows[:2]:
            row.tags.add(tag)
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(latest)

    assert [tag.name for tag in Asset.objects.get(storage_key="kept").tags.all()] == ["water"]
    assert sorted(Tagging.objects.values_list("created_at", "kept")) == [(NOW, False), (NOW, True)]
    assert set(ReferenceVersion.objects.values_list("name", "version")) == {("kept", 1), ("aside", 1), ("bare", 1)}
    assert found(owner, tagged=False) == ["bare"]
    assert found(owner, q="water") == found(owner, tag="water") == ["kept"]
    assert sorted(found(owner, q="lake")) == ["bare", "kept"]
    assert found(owner, q="lake", trash=True) == ["aside"]
    assert found(owner, tag="water", kind="image") == ["kept"]
    assert spelling.corrected(owner=owner, q="watre cinematci") == "water cinematic"
