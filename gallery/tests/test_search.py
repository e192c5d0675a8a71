"""Finding assets again: words, filters, their combinations, and pages of them."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.api.cursor import Cursor
from accounts.models import User
from gallery import descriptions, library, organising, search, terms, trash
from gallery.models import Asset, AssetDocument
from gallery.organising import Change
from gallery.search import Wanted
from gallery.tests.making import NOW, make_asset, snapshot
from gallery.tests.test_library import FACTS

LAKE = "A still lake at blue hour, cinématic"


def enter(owner: User, key: str, *, minutes: int = 0, **changes: Any) -> Asset:
    """An asset without a file: search does not look at them."""
    now = NOW + timedelta(minutes=minutes)
    made = snapshot(**changes)
    return library.enter_asset(owner_id=owner.pk, facts=FACTS, storage_key=key, snapshot=made, now=now)


def found(
    owner: User, *, most: int = 50, cursor: Cursor | None = None, oldest: bool = False, **wanted: Any
) -> list[str]:
    rows = search.find_assets(owner=owner, wanted=Wanted(**wanted), cursor=cursor, oldest=oldest, most=most)
    return [asset.storage_key for asset in rows]


class TestWords:
    @pytest.mark.parametrize(
        ("q", "finds"),
        [
            ("lake", True),
            ("LAKE", True),
            ("hour still", True),
            ("la", True),
            ("still lak", True),
            ("lak still", False),
            ("l", False),
            ("a", True),
            ("cinematic", True),
            ("cinémati", True),
            ("cinematics", False),
            ("nano-banana", True),
            ("461", True),
            ("sunrise", True),
            ("evening", True),
            ("postcard", True),
            ("hero", True),
            ("river", False),
            ("lake river", False),
            ("'lake' | \"x\" & !(", False),
            ("lake*", True),
            ("!!!", False),
            ("' OR 1=1 --", False),
            ("NEAR(lake, 2)", False),
        ],
    )
    def test_are_found_in_all_that_is_said_of_an_asset(self, owner: User, q: str, finds: bool) -> None:
        asset = enter(owner, "lake", prompt=LAKE)
        changes = {"title": "Sunrise", "tags": ["evening"], "notes": "For the postcard", "reference_name": "hero"}
        descriptions.update_asset(asset=asset, changes=changes, now=NOW)

        assert found(owner, q=q) == (["lake"] if finds else [])

    def test_are_an_owners_own(self, owner: User, stranger: User) -> None:
        enter(stranger, "theirs", prompt=LAKE)
        enter(owner, "mine", prompt=LAKE)

        assert found(owner, q="lake") == ["mine"]
        assert found(owner, q="lak") == ["mine"]
        assert found(owner, q="lake", kind="image") == ["mine"]

    def test_are_forgotten_with_what_they_stood_in(self, owner: User) -> None:
        asset = enter(owner, "lake", prompt="Waves")
        for title in ("Sunrise", "Sunset"):
            descriptions.update_asset(asset=asset, changes={"title": title}, now=NOW)

        assert found(owner, q="sunrise") == []
        assert found(owner, q="sunset") == ["lake"]

    def test_go_with_a_deleted_asset(self, owner: User) -> None:
        enter(owner, "lake", prompt=LAKE).delete()

        assert found(owner, q="lake") == []
        assert not AssetDocument.objects.exists()

    def test_may_be_many(self, owner: User) -> None:
        enter(owner, "lake", prompt=" ".join(f"word{number}" for number in range(5000)))

        assert found(owner, q=" ".join(f"word{number}" for number in range(100))) == ["lake"]


class TestFilters:
    def everything(self, owner: User) -> dict[str, Asset]:
        named = {
            "old": enter(owner, "old", minutes=0, prompt=LAKE),
            "mid": enter(owner, "mid", minutes=1, prompt=LAKE, model="black-forest-labs/flux"),
            "new": enter(owner, "new", minutes=2, prompt="Waves"),
        }
        organise(owner, [named["old"], named["mid"]], Change(add_tags=["water"], collect="Night ferry"))
        organise(owner, [named["mid"]], Change(add_tags=["blue"], category="places", favourite=True))
        return named

    @pytest.mark.parametrize(
        ("wanted", "keys"),
        [
            ({}, ["new", "mid", "old"]),
            ({"kind": "image"}, ["new", "mid", "old"]),
            ({"kind": "video"}, []),
            ({"model": "black-forest-labs/flux"}, ["mid"]),
            ({"tag": "water"}, ["mid", "old"]),
            ({"tag": "none such"}, []),
            ({"collection": "Night ferry"}, ["mid", "old"]),
            ({"collection": "none such"}, []),
            ({"category": "places"}, ["mid"]),
            ({"category": "none"}, ["new", "old"]),
            ({"favourite": True}, ["mid"]),
            ({"favourite": False}, ["new", "old"]),
            ({"tagged": False}, ["new"]),
            ({"tagged": True}, ["mid", "old"]),
            ({"tag": "water", "favourite": False}, ["old"]),
            ({"tag": "water", "collection": "Night ferry", "kind": "image"}, ["mid", "old"]),
            ({"category": "none", "origin": "generated"}, ["new", "old"]),
            ({"tag": "blue", "category": "none"}, []),
            ({"q": "lake", "tag": "blue"}, ["mid"]),
            ({"q": "lake", "collection": "Night ferry", "favourite": False}, ["old"]),
            ({"q": "waves", "tagged": False}, ["new"]),
            ({"trash": True}, []),
        ],
    )
    def test_combine(self, owner: User, stranger: User, wanted: dict[str, Any], keys: list[str]) -> None:
        self.everything(owner)
        organise(stranger, [enter(stranger, "theirs", prompt=LAKE)], Change(add_tags=["water"], collect="Night ferry"))

        assert found(owner, **wanted) == keys
        assert found(owner, oldest=True, **wanted) == keys[::-1]

    @pytest.mark.parametrize("wanted", [{}, {"tag": "water"}, {"q": "lake"}, {"tag": "water", "kind": "image"}])
    def test_leave_out_the_trash_and_find_it_there(self, owner: User, wanted: dict[str, Any]) -> None:
        asset = self.everything(owner)["old"]
        before = found(owner, **wanted)

        trash.trash_asset(asset=asset, now=NOW)
        assert found(owner, **wanted) == [key for key in before if key != "old"]
        assert found(owner, trash=True, **wanted) == ["old"]

        trash.restore_asset(asset=asset)
        assert found(owner, **wanted) == before
        assert found(owner, trash=True, **wanted) == []

    @pytest.mark.parametrize("wanted", [{}, {"tag": "water"}, {"q": "lake"}])
    @pytest.mark.parametrize(
        ("since", "until", "keys"),
        [
            (date(2026, 6, 30), None, ["today", "yesterday"]),
            (date(2026, 7, 1), None, ["today"]),
            (None, date(2026, 6, 30), ["yesterday", "before"]),
            (date(2026, 6, 30), date(2026, 6, 30), ["yesterday"]),
            (date(2026, 7, 2), None, []),
        ],
    )
    def test_keep_to_dates(
        self, owner: User, wanted: dict[str, Any], since: date | None, until: date | None, keys: list[str]
    ) -> None:
        for days, key in ((2, "before"), (1, "yesterday"), (0, "today")):
            asset = enter(owner, key, minutes=-days * 24 * 60, prompt=LAKE)
            organise(owner, [asset], Change(add_tags=["water"]))

        assert found(owner, since=since, until=until, **wanted) == keys


class TestPages:
    @pytest.mark.parametrize(
        "wanted",
        [
            {},
            {"kind": "image"},
            {"tag": "water"},
            {"collection": "Sea"},
            {"q": "lake"},
            {"tag": "water", "kind": "image"},
        ],
    )
    @pytest.mark.parametrize("oldest", [False, True])
    def test_show_each_once_through_equal_times(self, owner: User, wanted: dict[str, Any], oldest: bool) -> None:
        assets = [enter(owner, f"{number:02}", minutes=number // 5, prompt=LAKE) for number in range(13)]
        organise(owner, assets, Change(add_tags=["water"], collect="Sea"))

        seen: list[str] = []
        cursor = None
        while page := search.find_assets(owner=owner, wanted=Wanted(**wanted), cursor=cursor, oldest=oldest, most=4):
            seen += [asset.storage_key for asset in page]
            cursor = Cursor.beside(page[-1], newer=oldest)

        assert len(seen) == len(set(seen)) == 13
        assert [number[0] for number in seen] == [number[0] for number in sorted(seen, reverse=not oldest)]

    def test_go_on_where_an_asset_was_deleted(self, owner: User) -> None:
        assets = [enter(owner, str(number), minutes=number, prompt=LAKE) for number in range(4)]
        cursor = Cursor.beside(assets[2])
        assets[2].delete()

        assert found(owner, q="lake", cursor=cursor) == ["1", "0"]
        assert found(owner, q="lake", cursor=cursor, oldest=True) == ["3"]

    def test_are_filled_from_beyond_the_newest(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(search, "LOOKED_THROUGH", 2)
        for number in range(6):
            enter(owner, str(number), minutes=number, prompt=LAKE if number % 3 == 0 else "Waves")

        assert found(owner, q="lake") == ["3", "0"]
        assert found(owner, q="waves", most=1) == ["5"]

    @pytest.mark.parametrize("wanted", [{}, {"tag": "water"}, {"q": "lake"}, {"q": "lake", "kind": "image"}])
    def test_ask_the_database_once(self, owner: User, wanted: dict[str, Any], django_assert_num_queries: Any) -> None:
        organise(owner, [enter(owner, "lake", prompt=LAKE)], Change(add_tags=["water"]))

        with django_assert_num_queries(1):
            assert found(owner, **wanted) == ["lake"]


def organise(owner: User, assets: list[Asset], change: Change) -> None:
    organising.organise_assets(owner=owner, ids=[asset.pk for asset in assets], change=change, now=NOW)


class TestDocuments:
    def test_are_kept_in_step_by_the_database(self, owner: User) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("FTS5 is SQLite's")
        lake, sea, gone = (enter(owner, key, prompt=LAKE) for key in ("lake", "sea", "gone"))
        organise(owner, [lake, sea], Change(add_tags=["water"]))
        trash.trash_asset(asset=sea, now=NOW)
        gone.delete()

        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO gallery_assetterms (gallery_assetterms, rank) VALUES ('integrity-check', 1)")

    def test_are_found_by_what_the_release_before_asks_for(self, owner: User) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("FTS5 is SQLite's")
        enter(owner, "lake", prompt=LAKE)
        asked = " AND ".join(f'"{term}"' for term in (f"{terms.MARK}{owner.pk}", terms.facet("kind", "image"), "lake"))

        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM gallery_assetterms WHERE gallery_assetterms MATCH %s", [asked])
            assert cursor.fetchone() == (1,)

    def test_number_assets_in_the_order_of_their_time(self, owner: User) -> None:
        make_asset(owner=owner)
        enter(owner, "lake", minutes=1)

        assert list(AssetDocument.objects.order_by("id").values_list("asset", flat=True)) == list(
            Asset.objects.order_by("created_at").values_list("pk", flat=True)
        )
