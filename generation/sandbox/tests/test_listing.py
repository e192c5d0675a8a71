"""The list of predictions: pages, cursors, filters."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from generation.sandbox.running import RunningSandbox
from generation.sandbox.state import Prediction, new_id
from generation.sandbox.tests.conftest import create


def fill(running: RunningSandbox, count: int, *, first_at: float) -> list[str]:
    """Ended predictions, one a second, oldest first."""
    identities = [new_id() for _ in range(count)]
    for number, identity in enumerate(identities):
        running.sandbox.store.add(
            Prediction(
                id=identity,
                model="a/b",
                version="hidden",
                kind="image",
                list_output=False,
                created_at=first_at + number,
                queue_seconds=0,
                run_seconds=0,
                status="canceled",
                completed_at=first_at + number,
            )
        )
    return identities


def walk(http: httpx.Client, address: str, direction: str) -> list[dict[str, Any]]:
    """All pages from an address on."""
    pages = []
    following: str | None = address
    while following:
        pages.append(http.get(following).json())
        following = pages[-1][direction]
    return pages


class TestList:
    def test_shows_a_hundred_a_page_newest_first_each_once(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = fill(running, 250, first_at=1_700_000_000)

        pages = walk(http, "/v1/predictions", "next")

        assert [len(page["results"]) for page in pages] == [100, 100, 50]
        assert [item["id"] for page in pages for item in page["results"]] == made[::-1]
        assert pages[0]["previous"] is None
        assert pages[0]["next"].startswith(f"{running.url}/v1/predictions?cursor=")

    def test_leads_back_the_way_it_came(self, running: RunningSandbox, http: httpx.Client) -> None:
        fill(running, 250, first_at=1_700_000_000)
        pages = walk(http, "/v1/predictions", "next")

        back = walk(http, pages[-1]["previous"], "previous")

        assert [page["results"] for page in back] == [pages[1]["results"], pages[0]["results"]]

    def test_is_not_upset_by_what_is_created_meanwhile(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = fill(running, 150, first_at=1_700_000_000)
        first = http.get("/v1/predictions").json()

        create(http)
        second = http.get(first["next"]).json()

        assert [item["id"] for item in second["results"]] == made[:50][::-1]

    def test_takes_only_the_asked_span_of_time_on_every_page(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = fill(running, 300, first_at=1_700_000_000)
        since = datetime.fromtimestamp(1_700_000_050, UTC)
        until = since + timedelta(seconds=150)

        query = httpx.QueryParams(created_after=since.isoformat(), created_before=until.isoformat())
        pages = walk(http, f"/v1/predictions?{query}", "next")

        assert [item["id"] for page in pages for item in page["results"]] == made[50:200][::-1]

    def test_of_nothing_is_empty(self, http: httpx.Client) -> None:
        assert http.get("/v1/predictions").json() == {"previous": None, "next": None, "results": []}

    @pytest.mark.parametrize("query", ["cursor=%%%", "cursor=abc", "created_after=yesterday"])
    def test_refuses_what_it_cannot_read(self, http: httpx.Client, query: str) -> None:
        assert http.get(f"/v1/predictions?{query}").status_code == 400
