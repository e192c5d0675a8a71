"""The pages of the library: the sheet's filters, the bar for what is selected, one asset's shelf."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from gallery import descriptions, trash
from gallery.models import Asset, Collection, OwnCategory
from gallery.organising import Change
from gallery.tests.making import NOW
from gallery.tests.test_search import LAKE, enter, organise

HTMX = {"HX-Request": "true"}
ORGANISE = "/gallery/organise"


def ids(assets: list[Asset]) -> list[str]:
    return [str(asset.pk) for asset in assets]


class TestAccess:
    @pytest.mark.parametrize("path", ["organise", "restore", "tags"])
    def test_asks_everybody_else_to_sign_in(self, client: Client, db: None, path: str) -> None:
        assert "/login/" in client.post(f"/gallery/{path}")["Location"]

    def test_lets_a_stranger_touch_nothing(self, owner: User, strangers: Client) -> None:
        asset = enter(owner, "lake")
        body = {"asset": str(asset.pk), "act": "favourite", "tags": "x"}

        strangers.post(ORGANISE, body)
        strangers.post(ORGANISE, body | {"act": "trash"})
        assert strangers.get(f"/gallery/{asset.pk}/shelve", headers=HTMX).status_code == 404
        assert strangers.post(f"/gallery/{asset.pk}/shelve", body).status_code == 404
        trash.trash_asset(asset=asset, now=NOW)
        strangers.post("/gallery/restore", {"asset": str(asset.pk)})
        strangers.post("/gallery/restore", {"trashed_at": NOW.isoformat()})

        asset.refresh_from_db()
        assert (asset.favourite, asset.trashed_at) == (False, NOW)

    def test_offers_nobody_anothers_words(self, owner: User, strangers: Client) -> None:
        organise(owner, [enter(owner, "lake")], Change(add_tags=["secret-tag"], collect="secret-collection"))
        descriptions.add_category(owner_id=owner.pk, name="secret-category")

        for address in ("/gallery/", "/gallery/tags?tags=s"):
            assert "secret" not in strangers.get(address).content.decode()


class TestSheet:
    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("", ["waves", "lake"]),
            ("?sort=oldest", ["lake", "waves"]),
            ("?tag=water", ["lake"]),
            ("?tagged=0", ["waves"]),
            ("?category=none", ["waves"]),
            ("?category=places&favourite=1&q=la", ["lake"]),
            ("?collection=Night+ferry", ["lake"]),
            ("?since=2026-07-01&until=2026-07-01", ["waves", "lake"]),
            ("?since=2026-07-02", []),
            ("?since=nonsense&until=0000-00-00&tagged=7&sort=x", ["waves", "lake"]),
            ("?trash=1", ["aside"]),
            ("?trash=1&q=aside", ["aside"]),
        ],
    )
    def test_filters(self, owner: User, owners: Client, query: str, keys: list[str]) -> None:
        lake, _, aside = enter(owner, "lake", prompt=LAKE), enter(owner, "waves", minutes=1), enter(owner, "aside")
        organise(owner, [lake], Change(add_tags=["water"], category="places", favourite=True, collect="Night ferry"))
        descriptions.update_asset(asset=aside, changes={"title": "aside"}, now=NOW)
        trash.trash_asset(asset=aside, now=NOW)

        shown = owners.get(f"/gallery/{query}")

        assert [asset.storage_key for asset in shown.context["frames"].assets] == keys

    def test_counts_what_is_few(self, owner: User, owners: Client) -> None:
        organise(owner, [enter(owner, str(number)) for number in range(3)], Change(add_tags=["water"]))

        assert (
            '<span class="cut">water</span><span class="num count">3</span>' in owners.get("/gallery/").content.decode()
        )

    @pytest.mark.parametrize(
        "query", ["", "?tag=water", "?q=lake", "?q=lake&tag=water&kind=image", "?trash=1", "?select=1", "?sort=oldest"]
    )
    def test_asks_the_database_six_times(self, owner: User, owners: Client, query: str) -> None:
        def asked() -> int:
            with CaptureQueriesContext(connection) as statements:
                owners.get(f"/gallery/{query}")
            return len(statements)

        organise(owner, [enter(owner, "first", prompt=LAKE)], Change(add_tags=["water"], collect="Sea"))
        asked()
        few = asked()
        more = [enter(owner, str(number), prompt=LAKE) for number in range(30)]
        organise(owner, more, Change(add_tags=["water", "blue"], collect="Sky"))

        assert asked() == few <= 6


class TestBulk:
    @pytest.mark.parametrize(
        ("body", "said", "wanted"),
        [
            ({"act": "tag", "tags": "lake, blue hour"}, "Tagged 2 frames.", {"tags__name": "blue hour"}),
            ({"act": "enter", "tags": "lake"}, "Tagged 2 frames.", {"tags__name": "lake"}),
            ({"act": "categorise", "category": "places"}, "Category set for 2 frames.", {"category": "places"}),
            ({"act": "categorise", "new_category": "Boards"}, "Category set for 2 frames.", {"category": "Boards"}),
            ({"act": "collect", "collection": "Sea"}, "Collected 2 frames.", {"collections__name": "Sea"}),
            ({"act": "enter", "collection": "Sea"}, "Collected 2 frames.", {"collections__name": "Sea"}),
            ({"act": "favourite"}, "Starred 2 frames.", {"favourite": True}),
        ],
    )
    @pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
    def test_does_one_thing_with_all(
        self, owner: User, owners: Client, body: dict[str, str], said: str, wanted: dict[str, Any], headers: Any
    ) -> None:
        assets = [enter(owner, str(number)) for number in range(3)]
        sent = body | {"asset": ids(assets[:2]), "next": "/gallery/?kind=image&select=1"}

        answer = owners.post(ORGANISE, sent, headers=headers, follow=True)

        assert said in answer.content.decode()
        assert Asset.objects.filter(**wanted).count() == 2
        if not headers:
            assert answer.redirect_chain == [("/gallery/?kind=image&select=1", 302)]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"act": "tag"}, "Write a tag first."),
            ({"act": "collect"}, "Name a collection first."),
            ({"act": "tag", "tags": "x" * 61}, "At most 60 characters"),
            ({"act": "categorise", "category": "none such"}, "The category is one of"),
            ({"act": "categorise", "new_category": "none"}, "A category needs a name"),
            ({"act": "dance"}, "dance"),
            ({}, "Choose what to do."),
        ],
    )
    def test_says_what_cannot_be_done_and_keeps_the_selection(
        self, owner: User, owners: Client, body: dict[str, str], said: str
    ) -> None:
        assets = [enter(owner, str(number)) for number in range(2)]
        sent = body | {"asset": ids(assets[:1]), "next": "/gallery/?select=1"}

        plain = owners.post(ORGANISE, sent)
        bar = owners.post(ORGANISE, sent, headers=HTMX)

        assert plain.status_code == bar.status_code == 422
        assert said in plain.content.decode() and said in bar.content.decode()
        assert plain.content.decode().count(" checked>") == 1
        assert not OwnCategory.objects.exists() and not Collection.objects.exists()

    def test_needs_a_selection(self, owner: User, owners: Client) -> None:
        enter(owner, "lake")

        answer = owners.post(ORGANISE, {"act": "favourite", "asset": ["nonsense"]})

        assert answer.status_code == 422
        assert "Select some frames first." in answer.content.decode()

    def test_puts_aside_and_takes_back_together(self, owner: User, owners: Client) -> None:
        assets = [enter(owner, str(number)) for number in range(3)]
        sent = {"act": "trash", "asset": ids(assets[:2]), "next": "/gallery/?kind=image&select=1"}

        answer = owners.post(ORGANISE, sent, follow=True)
        [(address, _)] = answer.redirect_chain
        assert address.startswith("/gallery/?kind=image&trashed_at=")
        assert "2 frames moved to trash." in answer.content.decode()
        moment = answer.context["trashed_at"].isoformat()

        owners.post("/gallery/restore", {"trashed_at": moment, "next": "/gallery/?kind=image"})
        assert Asset.objects.kept().count() == 3

    def test_restores_what_is_selected_in_the_trash(self, owner: User, owners: Client) -> None:
        assets = [enter(owner, str(number)) for number in range(3)]
        trash.trash_assets(owner=owner, ids=[asset.pk for asset in assets], now=NOW)

        owners.post("/gallery/restore", {"asset": ids(assets[:2])})

        assert Asset.objects.kept().count() == 2

    @pytest.mark.parametrize("moment", ["", "nonsense", "2026-07-01", "2026-99-01T00:00:00Z"])
    def test_restores_nothing_for_nonsense(self, owner: User, owners: Client, moment: str) -> None:
        trash.trash_asset(asset=enter(owner, "lake"), now=NOW)

        assert owners.post("/gallery/restore", {"trashed_at": moment}).status_code == 302
        assert owners.get(f"/gallery/?trashed_at={moment}").status_code == 200
        assert not Asset.objects.kept().exists()

    def test_selects_all_on_the_page(self, owner: User, owners: Client) -> None:
        for number in range(3):
            enter(owner, str(number))

        assert owners.get("/gallery/?select=all").content.decode().count(" checked>") == 3


class TestShelve:
    def test_is_a_fragment_for_htmx_and_the_page_for_others(self, owner: User, owners: Client) -> None:
        asset = enter(owner, "lake")
        address = f"/gallery/{asset.pk}/shelve"

        fragment = owners.get(address, headers=HTMX).content.decode()
        changed = owners.post(address, {"act": "tag", "tags": "lake"}, headers=HTMX).content.decode()

        assert f'<section class="stack" id="shelve-{asset.pk}"' in fragment and "<html" not in fragment
        assert 'name="tags" value="lake"' in changed
        assert owners.get(address)["Location"] == f"/gallery/{asset.pk}/#details"
        assert owners.post(address, {"act": "untag", "tags": "lake"})["Location"] == f"/gallery/{asset.pk}/"
        assert not asset.tags.exists()

    def test_says_what_cannot_be_kept(self, owner: User, owners: Client) -> None:
        address = f"/gallery/{enter(owner, 'lake').pk}/shelve"

        fragment = owners.post(address, {"act": "tag", "tags": ""}, headers=HTMX)
        page = owners.post(address, {"act": "tag", "tags": ""}, follow=True)

        assert fragment.status_code == 422 and "Write a tag first." in fragment.content.decode()
        assert "Write a tag first." in page.content.decode()

    def test_completes_the_last_tag(self, owner: User, owners: Client) -> None:
        organise(owner, [enter(owner, "lake")], Change(add_tags=["Lake", "lagoon", "blue"]))

        options = owners.get("/gallery/tags", {"tags": "blue, la"}).content.decode()

        assert 'value="blue, lagoon"' in options and 'value="blue, Lake"' in options
        assert "blue, blue" not in options


class TestReferenceName:
    def test_is_moved_when_asked_to_and_remembered_where_it_was_used(self, owner: User, owners: Client) -> None:
        first, second = enter(owner, "first"), enter(owner, "second")
        descriptions.update_asset(asset=first, changes={"reference_name": "hero"}, now=NOW)
        made = enter(owner, "made", minutes=1, made_from=[first.pk])

        refused = owners.post(f"/gallery/{second.pk}/", {"reference_name": "@hero"})
        moved = owners.post(f"/gallery/{second.pk}/", {"reference_name": "@hero", "move_name": "1"})

        assert refused.status_code == 422
        assert "Another asset of yours has the reference name @hero." in refused.content.decode()
        assert 'name="move_name"' in refused.content.decode()
        assert moved.status_code == 302
        page = owners.get(f"/gallery/{made.pk}/").content.decode()
        assert "<b>@hero v1</b> (now v2)" in page

    def test_keeps_notes_and_a_category_of_ones_own(self, owner: User, owners: Client) -> None:
        asset = enter(owner, "lake")

        owners.post(f"/gallery/{asset.pk}/", {"notes": "For the\r\nclient", "new_category": "Boards"})

        asset.refresh_from_db()
        assert (asset.notes, asset.category) == ("For the\nclient", "Boards")
