"""Two assets side by side."""

import re
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from gallery.models import Asset
from gallery.tests.making import make_asset
from gallery.web.comparing import MOST_WORDS, Piece, marked

COMPARE = "/gallery/compare/"


@pytest.fixture
def pair(owner: User) -> list[Asset]:
    return [
        make_asset(owner=owner, frame_number=7, prompt="A still lake at blue hour"),
        make_asset(owner=owner, frame_number=8, prompt="A still lake at dawn", settings={"aspect_ratio": "3:2"}),
    ]


def address(*assets: Asset) -> str:
    return f"{COMPARE}?a={assets[0].pk}&b={assets[1].pk}"


class TestCompare:
    def test_shows_what_differs_and_what_does_not(self, owners: Client, pair: list[Asset]) -> None:
        with CaptureQueriesContext(connection) as statements:
            page = owners.get(address(*pair))

        assert [row.name for row in page.context["differing"]] == ["Prompt", "Aspect ratio"]
        assert "Seed" in [row.name for row in page.context["same"]]
        assert re.search(r"A still lake at\s*<mark>blue hour</mark>", page.content.decode())
        assert len(statements) <= 8

    def test_has_nothing_of_anybody_else(self, strangers: Client, stranger: User, pair: list[Asset]) -> None:
        own = make_asset(owner=stranger)

        assert strangers.get(address(own, own)).status_code == 200
        assert strangers.get(address(own, pair[0])).status_code == 404
        assert strangers.get(address(pair[0], own)).status_code == 404

    @pytest.mark.parametrize("query", ["", "?a=x&b=y", f"?a={UUID(int=1)}", f"?a={UUID(int=1)}&b={UUID(int=2)}"])
    def test_needs_two(self, owners: Client, query: str) -> None:
        assert owners.get(COMPARE + query).status_code == 404

    def test_is_led_to_from_two_that_are_selected(self, owners: Client, pair: list[Asset]) -> None:
        ids = [str(asset.pk) for asset in pair]

        assert owners.post(COMPARE, {"asset": ids})["Location"] == address(*pair)

    def test_keeps_the_selection_when_it_is_not_two(self, owners: Client, pair: list[Asset]) -> None:
        refused = owners.post(COMPARE, {"asset": [str(pair[0].pk)], "next": "/gallery/?select=1"})

        assert refused.status_code == 422
        assert refused.context["errors"] == ["Select two frames to compare; you have selected 1."]
        assert refused.context["picked"] == {pair[0].pk}


class TestMarks:
    def test_are_on_words_that_one_side_has(self) -> None:
        assert marked("a red boat at dusk", "a boat at blue dusk") == (
            [Piece("a"), Piece("red", True), Piece("boat at"), Piece("dusk")],
            [Piece("a"), Piece("boat at"), Piece("blue", True), Piece("dusk")],
        )

    @pytest.mark.parametrize("first", ["nothing of that kind", "b " * (MOST_WORDS + 1)], ids=["another", "long"])
    def test_are_left_out_where_they_help_nobody(self, first: str) -> None:
        assert marked(first, "b")[0] == [Piece(first)]
