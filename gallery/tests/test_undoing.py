"""The way back from what was done with many: as it was, and nothing that has changed since."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from gallery import sharing, trash, undoing
from gallery.models import Asset, Collection, OwnCategory, Tag
from gallery.organising import Change, organise_assets
from gallery.tests.making import NOW
from gallery.tests.test_search import enter
from gallery.web import undoing as kept

HTMX = {"HX-Request": "true", "HX-Target": "bulk"}
ORGANISE = "/gallery/organise"


@pytest.fixture
def assets(owner: User) -> list[Asset]:
    """One with everything, one with nothing."""
    found = [enter(owner, "lake"), enter(owner, "waves")]
    change = Change(add_tags=["water"], category="places", favourite=True, collect="Sea")
    organise_assets(owner=owner, ids=[found[0].pk], change=change, now=NOW)
    return found


def state(owner: User) -> Any:
    """All that can be organised."""
    rows = Asset.objects.for_owner(owner).order_by("pk")
    words = [sorted(name for row in rows for name in row.tags.values_list("name", flat=True))]
    words.append(sorted(name for row in rows for name in row.collections.values_list("name", flat=True)))
    flags = list(rows.values_list("category", "favourite", "tagged"))
    names = [sorted(model._default_manager.values_list("name", flat=True)) for model in (Tag, Collection)]
    return words, flags, names


def undo_of(page: Any) -> str:
    """The address that the last message, or the bar, offers."""
    text: str = page.content.decode()
    return (
        text.split('formaction="/gallery/undo')[-1].split('"')[0]
        if 'formaction="/gallery/undo' in text
        else (text.split('action="/gallery/undo')[1].split('"')[0])
    )


class TestBulk:
    @pytest.mark.parametrize(
        "body",
        [
            {"act": "tag", "tags": "water, new"},
            {"act": "untag", "tags": "water"},
            {"act": "categorise", "category": "people"},
            {"act": "collect", "collection": "Sea"},
            {"act": "collect", "collection": "New"},
            {"act": "uncollect", "collection": "Sea"},
            {"act": "favourite"},
            {"act": "unfavourite"},
        ],
        ids=lambda body: " ".join(body.values()),
    )
    @pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
    def test_is_as_it_was(
        self, owner: User, owners: Client, assets: list[Asset], body: dict[str, str], headers: dict[str, str]
    ) -> None:
        before = state(owner)
        sent = body | {"asset": [str(asset.pk) for asset in assets], "next": "/gallery/?select=1"}
        done = owners.post(ORGANISE, sent, headers=headers, follow=True)
        assert state(owner) != before

        undone = owners.post(f"/gallery/undo{undo_of(done)}", sent, headers=headers, follow=True)

        assert state(owner) == before
        assert re.search(r"Undone: (1 frame is as it was|2 frames are as they were)\.", undone.content.decode())
        assert ('<form class="bulk"' in undone.content.decode()[:200]) == bool(headers)

    def test_leaves_alone_what_was_changed_since(self, owner: User, assets: list[Asset]) -> None:
        ids = [asset.pk for asset in assets]
        back = organise_assets(owner=owner, ids=ids, change=Change(category="people"), now=NOW).back
        organise_assets(owner=owner, ids=ids[:1], change=Change(category="props"), now=NOW)

        undone = undoing.take_back(owner=owner, way=undoing.WayBack(back), now=NOW)

        assert undone == 1
        assert [Asset.objects.get(pk=key).category for key in ids] == ["props", ""]

    def test_reaches_into_the_trash_but_to_nobody_else(self, owner: User, stranger: User, assets: list[Asset]) -> None:
        ids = [asset.pk for asset in assets]
        way = undoing.WayBack(organise_assets(owner=owner, ids=ids, change=Change(remove_tags=["water"]), now=NOW).back)
        trash.trash_asset(asset=assets[0], now=NOW)

        assert undoing.take_back(owner=stranger, way=way, now=NOW) == 0
        assert undoing.take_back(owner=owner, way=undoing.WayBack.read(way.written()), now=NOW) == 1
        assert [(row.asset_id, row.kept) for row in assets[0].taggings.all()] == [(ids[0], False)]


class TestShelves:
    @pytest.mark.parametrize(("kind", "model"), undoing.KINDS.items())
    def test_come_back_with_their_frames_and_their_names(
        self, owner: User, owners: Client, assets: list[Asset], kind: str, model: Any
    ) -> None:
        if kind == "category":
            OwnCategory.objects.create(owner=owner, name="Boards")
            organise_assets(owner=owner, ids=[assets[0].pk], change=Change(category="Boards"), now=NOW)
        before = state(owner)
        row = model._default_manager.get()

        removed = owners.post(f"/gallery/shelves/{kind}/{row.pk}/remove", follow=True)
        assert not model._default_manager.exists()
        owners.post(f"/gallery/undo{undo_of(removed)}")
        assert state(owner) == before

        again = model._default_manager.get()
        renamed = owners.post(f"/gallery/shelves/{kind}/{again.pk}/", {"name": "Other"}, follow=True)
        assert model._default_manager.get().name == "Other"
        owners.post(f"/gallery/undo{undo_of(renamed)}")
        assert state(owner) == before

    def test_keep_a_collection_that_was_shared_meanwhile(self, owner: User, assets: list[Asset]) -> None:
        back = organise_assets(owner=owner, ids=[assets[0].pk], change=Change(collect="New"), now=NOW).back
        new, end = Collection.objects.get(name="New"), timezone.now() + timedelta(days=1)
        sharing.create_share_link(owner=owner, to=new, expires_at=end, now=timezone.now())

        undoing.take_back(owner=owner, way=undoing.WayBack(back), now=NOW)

        assert not new.assets.exists()
        assert Collection.objects.filter(pk=new.pk).exists()


class TestWay:
    def test_is_gone_once_gone_or_after_a_while(
        self, owner: User, owners: Client, strangers: Client, assets: list[Asset], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = {"act": "favourite", "asset": str(assets[1].pk)}
        way = undo_of(owners.post(ORGANISE, sent, headers=HTMX))

        for client, query in [(strangers, way), (owners, ""), (owners, "?key=x")]:
            said = client.post(f"/gallery/undo{query}", headers=HTMX)
            assert "That can no longer be undone." in said.content.decode()
        assert Asset.objects.filter(favourite=True).count() == 2
        owners.post(f"/gallery/undo{way}")
        assert Asset.objects.filter(favourite=True).count() == 1
        assert "no longer" in owners.post(f"/gallery/undo{way}", headers=HTMX).content.decode()

        way = undo_of(owners.post(ORGANISE, sent, headers=HTMX))
        monkeypatch.setattr(kept, "LAST_SECONDS", -1)
        assert "no longer" in owners.post(f"/gallery/undo{way}", headers=HTMX).content.decode()

    def test_is_kept_for_the_newest_few(self, owners: Client, assets: list[Asset]) -> None:
        for act in ["unfavourite", "favourite"] * 4:
            owners.post(ORGANISE, {"act": act, "asset": str(assets[0].pk)}, headers=HTMX)

        assert len(owners.session[kept.WAYS]) == kept.MOST_KEPT
