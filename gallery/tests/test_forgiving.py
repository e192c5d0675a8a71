"""Words with a typing error in them, and the sheet in the order of size."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from gallery import descriptions, purging, search, spelling
from gallery.models import Asset, Spelling
from gallery.organising import Change
from gallery.search import SizeCursor, Wanted
from gallery.tests.making import NOW
from gallery.tests.test_search import LAKE, enter, organise
from gallery.trash import trash_asset
from gallery.web import browsing


def instead(owner: User, **wanted: Any) -> str:
    return search.meant_instead(owner=owner, wanted=Wanted(**wanted))


class TestTypingErrors:
    @pytest.mark.parametrize(
        ("q", "meant"),
        [
            ("lkae", "lake"),  # changed places
            ("lakr", "lake"),  # wrong
            ("lke", "lake"),  # missing
            ("laake", "lake"),  # too much
            ("Stil laek", "still lake"),
            ("cinematci lake", "cinematic lake"),
            ("Lake huor still", "lake hour still"),
            ("seven laek", ""),  # a word that nothing is like: no guess helps
            ("ekal", ""),  # two errors
            ("lake", ""),
            ("lk", ""),
            ("461", ""),
            ("!!!", ""),
            ("' OR 1=1 --", ""),
        ],
    )
    def test_are_forgiven(self, owner: User, q: str, meant: str) -> None:
        enter(owner, "lake", prompt=LAKE)

        assert instead(owner, q=q) == meant

    def test_lead_to_what_fits_the_filters_too(self, owner: User) -> None:
        lake = enter(owner, "lake", prompt=LAKE)
        organise(owner, [lake], Change(add_tags=["water"], collect="Sea"))
        enter(owner, "other", prompt=LAKE)

        assert instead(owner, q="lkae", tag="water", collection="Sea") == "lake"
        assert instead(owner, q="lkae", favourite=True) == ""

    def test_of_a_word_are_not_led_to_another_owners(self, owner: User, stranger: User) -> None:
        enter(stranger, "theirs", prompt=LAKE)
        enter(owner, "mine", prompt="Waves")

        assert instead(owner, q="lkae") == spelling.corrected(owner=owner, q="lkae") == ""

    def test_are_forgiven_in_all_that_is_said_of_an_asset(self, owner: User) -> None:
        asset = enter(owner, "lake", prompt="Waves")
        descriptions.update_asset(asset=asset, changes={"title": "Sunrise", "tags": ["evening"]}, now=NOW)

        assert (instead(owner, q="sunrsie"), instead(owner, q="evneing")) == ("sunrise", "evening")

    def test_words_that_are_known_are_not_written_again(self, owner: User) -> None:
        enter(owner, "lake", prompt=LAKE)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            enter(owner, "again", prompt=LAKE)

        assert not [query for query in seen if 'INTO "gallery_spelling"' in query["sql"]]

    def test_prefer_the_word_that_begins_alike(self, owner: User) -> None:
        for key, prompt in (("lake", "lake"), ("cake", "cake")):
            enter(owner, key, prompt=prompt)

        assert instead(owner, q="lakee") == "lake"
        assert spelling.corrected(owner=owner, q="lbke") == "lake"

    def test_are_kept_once_and_asked_in_one_statement(self, owner: User, django_assert_num_queries: Any) -> None:
        enter(owner, "lake", prompt=LAKE)
        before = Spelling.objects.count()
        enter(owner, "again", prompt=LAKE)

        assert Spelling.objects.count() == before
        with django_assert_num_queries(1):
            spelling.corrected(owner=owner, q=" ".join(["lkae"] * 50))

    def test_in_words_of_what_was_deleted_for_good_lead_nowhere(self, owner: User) -> None:
        gone, kept = enter(owner, "gone", prompt="A secret harbour"), enter(owner, "kept", prompt="Another harbour")
        organise(owner, [gone], Change(add_tags=["hidden"]))
        trash_asset(asset=gone, now=NOW)

        purging.purge(Asset.objects.for_owner(owner).in_trash(), now=NOW, most=10)

        assert spelling.corrected(owner=owner, q="secrte hiddne harbuor anothre") == "secrte hiddne harbour another"
        assert not Spelling.objects.filter(word__in=["secret", "hidden"]).exists()
        purging.purge(Asset.objects.filter(pk=kept.pk), now=NOW, most=10)
        assert not Spelling.objects.exists()

    def test_are_told_on_the_page(self, owner: User, owners: Client) -> None:
        for number in range(browsing.FRAMES + 1):
            enter(owner, str(number), prompt=LAKE, minutes=number)

        shown = owners.get("/gallery/?q=lkae&kind=image&size=s", follow=True)
        further = owners.get(f"/gallery/{shown.context['frames'].older}")

        assert shown.redirect_chain == [("/gallery/?kind=image&q=lake&size=s&typed=lkae", 302)]
        assert "Nothing has “lkae”. This is what has “lake”." in shown.content.decode()
        assert [asset.storage_key for asset in further.context["frames"].assets] == ["0"]

    @pytest.mark.parametrize("query", ["?q=wxyz", "?q=lkae&favourite=1", "?q=lkae&typed=x"])
    def test_that_lead_nowhere_end_at_an_empty_page(self, owner: User, owners: Client, query: str) -> None:
        enter(owner, "lake", prompt=LAKE)

        shown = owners.get(f"/gallery/{query}", follow=True).content.decode()

        assert "Nothing here fits these filters." in shown and "This is what has" not in shown

    @pytest.mark.parametrize("query", ["?q=lkae", "?q=wxyz", "?sort=largest"])
    def test_cost_no_more_than_six_statements(self, owner: User, owners: Client, query: str) -> None:
        enter(owner, "lake", prompt=LAKE)
        owners.get("/gallery/")

        with CaptureQueriesContext(connection) as asked:
            answer = owners.get(f"/gallery/{query}")
        with CaptureQueriesContext(connection) as then:
            owners.get(answer.headers.get("Location", f"/gallery/{query}"))

        assert len(asked) <= 6
        assert len(then) <= 6


class TestSize:
    def sized(self, owner: User, *sizes: int) -> None:
        for number, size in enumerate(sizes):
            Asset.objects.filter(pk=enter(owner, str(number), minutes=number).pk).update(size_bytes=size)

    def test_orders_the_sheet_and_each_page_goes_on(self, owner: User, stranger: User) -> None:
        self.sized(owner, 5, 900, 30, 30, 30, 2000)
        Asset.objects.filter(pk=enter(stranger, "theirs").pk).update(size_bytes=10**6)
        trash_asset(asset=Asset.objects.get(storage_key="5"), now=NOW)

        seen: list[str] = []
        cursor = None
        while page := search.largest_assets(owner=owner, cursor=cursor, most=2):
            seen += [asset.storage_key for asset in page]
            cursor = SizeCursor.read(str(SizeCursor.behind(page[-1])))

        assert seen == ["1", "4", "3", "2", "0"]

    def test_is_read_in_the_order_of_its_index(self, owner: User) -> None:
        self.sized(owner, 5, 900)
        place = SizeCursor.behind(Asset.objects.get(size_bytes=900))

        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")
        with CaptureQueriesContext(connection) as asked:
            search.largest_assets(owner=owner, cursor=place, most=2)
        plan = self.explained(asked.captured_queries[0]["sql"])

        assert "asset_by_size" in plan
        assert "TEMP B-TREE" not in plan and "Sort" not in plan

    def explained(self, sql: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + sql)
            return "\n".join(str(row) for row in cursor.fetchall())

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("?sort=largest", ["1", "0", "2"]),
            ("?sort=largest&cursor=nonsense", ["1", "0", "2"]),
            ("?sort=largest&cursor=5-zzz", ["1", "0", "2"]),
            ("?sort=largest&kind=image", ["2", "1", "0"]),
            ("?sort=largest&trash=1", []),
        ],
    )
    def test_is_chosen_for_the_whole_gallery(self, owner: User, owners: Client, query: str, keys: list[str]) -> None:
        self.sized(owner, 50, 900, 5)

        shown = owners.get(f"/gallery/{query}")

        assert [asset.storage_key for asset in shown.context["frames"].assets] == keys
        [chosen] = [sort.label for sort in shown.context["sorts"] if sort.chosen]
        assert chosen == ("Largest first" if keys[:1] == ["1"] else "Newest first")

    def test_takes_filters_away_and_shows_sizes(self, owner: User, owners: Client) -> None:
        self.sized(owner, 1_800_000)

        offered = owners.get("/gallery/?kind=image&q=lake").context["sorts"][2]
        shown = owners.get(f"/gallery/{offered.query}").content.decode()

        assert offered.query == "?sort=largest"
        assert "1.8 MB" in shown
