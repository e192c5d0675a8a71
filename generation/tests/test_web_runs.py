"""Several runs of one prompt: asked for at once, each decided by itself, shown as one card."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import LedgerEntry, User
from generation.live import feed as live
from generation.models import Prediction
from generation.states import Status
from generation.tests.making import BANANA, NOW, make_user
from generation.tests.test_web_cards import put, store
from generation.web.runs import Runs, render_card, shown

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def form(**fields: Any) -> dict[str, Any]:
    return {"model": BANANA, "prompt": "a lake at dusk", "idempotency_key": str(uuid.uuid4()), "runs": "4", **fields}


def text(response: Any) -> str:
    return str(response.content.decode())


def made() -> list[Prediction]:
    return list(Prediction.objects.order_by("number"))


def asked(client: Client, **fields: Any) -> list[Prediction]:
    client.post("/generate", form(**fields), headers=HTMX)
    return made()


class TestAsking:
    def test_reserves_for_each_run_by_itself(self, client: Client) -> None:
        runs = asked(client)

        assert [run.first_run_id for run in runs] == [None, *[runs[0].pk] * 3]
        assert {run.estimated_micros for run in runs} == {39_000}
        assert LedgerEntry.objects.count() == 4

    def test_twice_with_one_form_is_asking_once(self, client: Client) -> None:
        sent = form()
        for _ in range(2):
            client.post("/generate", sent, headers=HTMX)

        assert len(made()) == 4

    @pytest.mark.parametrize("runs", ["0", "5", "-1", "x", "", "1.5", "٣", "99999999999"])
    def test_for_no_such_number_is_asking_for_one(self, client: Client, runs: str) -> None:
        assert len(asked(client, runs=runs)) == 1

    def test_for_more_than_a_limit_allows_keeps_what_it_allowed(self, client: Client, user: User) -> None:
        User.objects.filter(pk=user.pk).update(daily_count_limit=2)

        html = text(client.post("/generate", form(), headers=HTMX))

        assert len(made()) == 2
        assert "2 of 4 runs were asked for. Your limit of 2 generations a day" in html

    def test_leads_back_with_the_number_kept(self, client: Client) -> None:
        answer = client.post("/generate", form())

        first = made()[0]
        assert answer["Location"] == f"/?reuse={first.pk}&runs=4#prediction-1"
        assert 'name="runs" value="4" checked' in text(client.get(answer["Location"]))


class TestEstimate:
    def test_is_for_all_of_them(self, client: Client) -> None:
        html = text(client.post("/estimate", form(), headers=HTMX))

        assert "≈ $0.156</b>" in html and "4 × $0.039" in html

    def test_counts_each_against_the_limit(self, client: Client, user: User) -> None:
        User.objects.filter(pk=user.pk).update(daily_count_limit=3)

        assert " disabled>" in text(client.post("/estimate", form(), headers=HTMX))
        assert " disabled>" not in text(client.post("/estimate", form(runs="3"), headers=HTMX))


class TestCard:
    def test_is_one_for_all(self, client: Client) -> None:
        runs = asked(client)

        page = text(client.get("/"))

        assert re.findall(r'<article class="card[^>]*id="([^"]+)"', page) == ["prediction-1"]
        assert "1–4</span>" in page and "4 runs" in page and "≈ $0.156" in page
        assert render_card(runs[3]).count("<article") == 1

    def test_speaks_for_the_one_that_is_furthest_behind(self, client: Client) -> None:
        first, second, third, fourth = asked(client)
        put(first, status=Status.SUCCEEDED, cost_micros=39_000)
        store(first)
        put(second, status=Status.PROCESSING, submitted_at=NOW, started_at=timezone.now(), progress=0.5)
        put(third, status=Status.STORING)
        put(fourth, status=Status.FAILED, cost_micros=0)

        html = render_card(third)

        assert "<strong>Generating your content…</strong>" in html
        assert "1 of 4 done. 1 did not come out; see each run." in html
        assert 'data-state="processing"' in html and 'data-running="2"' in html and 'value="88"' in html
        assert f"/predictions/{fourth.pk}/retry" in html and f"/predictions/{second.pk}/cancel" in html

    def test_that_is_complete_offers_the_next_step_for_each(self, client: Client) -> None:
        for run in asked(client, runs="2"):
            put(run, status=Status.SUCCEEDED, cost_micros=39_000)
            store(run)

        html = render_card(made()[0])

        assert "<strong>Generation complete!</strong>" in html and "hx-get" not in html.partition(">")[0]
        assert html.count("Animate frame") == 2 and "$0.078" in html

    def test_asks_whether_to_wait_when_one_is_slow(self, client: Client) -> None:
        runs = asked(client, runs="2")
        put(runs[1], status=Status.PROCESSING, submitted_at=NOW, started_at=NOW)

        html = render_card(runs[0], now=NOW + timedelta(minutes=2))

        assert "<strong>Taking longer than expected</strong>" in html and "Keep waiting" in html

    def test_says_what_the_model_ignores(self, client: Client) -> None:
        runs = asked(client, model="bytedance/seedream-4", size="2K", width="1024", runs="2")

        assert "Width and height are ignored" in render_card(runs[0])

    def test_names_frames_that_others_came_in_between(self, client: Client) -> None:
        runs = asked(client, runs="2")
        Prediction.objects.filter(pk=runs[1].pk).update(number=7)

        assert "1, 7</span>" in render_card(runs[0])

    def test_takes_as_many_statements_for_many_as_for_few(self, client: Client) -> None:
        asked(client)

        def statements(count: int) -> int:
            with CaptureQueriesContext(connection) as captured:
                shown(list(Prediction.objects.order_by("number")[:count]), now=timezone.now())
            return len(captured)

        few = statements(1)
        asked(client)
        assert statements(8) == few


class TestFeed:
    def test_brings_all_of_them_by_any_of_them(self, client: Client, user: User) -> None:
        runs = asked(client)

        frames = live.frames(prediction_ids=[runs[2].pk, runs[3].pk], users=[user.pk], now=timezone.now())

        assert [frame.event for frame in frames] == [max(run.last_event_id for run in runs)]
        assert 'id="prediction-1"' in frames[0].html

    def test_of_another_is_not_touched(self, client: Client) -> None:
        runs = asked(client)
        stranger = Client()
        stranger.force_login(make_user(username="bob"))

        assert stranger.get(f"/predictions/{runs[1].pk}/card").status_code == 404
        assert stranger.post(f"/predictions/{runs[1].pk}/cancel", {"runs": "all"}).status_code == 404


class TestCancel:
    def test_of_all_ends_every_run_under_way(self, client: Client) -> None:
        runs = asked(client)
        put(runs[0], status=Status.SUCCEEDED, cost_micros=39_000)

        html = text(client.post(f"/predictions/{runs[0].pk}/cancel", {"runs": "all"}, headers=HTMX))

        assert [run.status for run in made()] == ["succeeded", "canceled", "canceled", "canceled"]
        assert html.count("<article") == 1 and "too late" not in html

    def test_of_all_says_when_it_is_too_late_for_each(self, client: Client) -> None:
        runs = asked(client, runs="2")
        for run in runs:
            put(run, status=Status.SUCCEEDED, cost_micros=39_000)

        html = text(client.post(f"/predictions/{runs[0].pk}/cancel", {"runs": "all"}, headers=HTMX))

        assert "It was too late to cancel frames 1, 2: they are finished." in html

    def test_of_one_leaves_the_others(self, client: Client) -> None:
        runs = asked(client, runs="2")

        client.post(f"/predictions/{runs[1].pk}/cancel", headers=HTMX)

        assert [run.status for run in made()] == ["queued", "canceled"]


def test_a_card_of_runs_has_a_newest_event(client: Client) -> None:
    [card] = shown(asked(client, runs="2"), now=timezone.now())

    assert isinstance(card, Runs)
    assert card.event == max(one.prediction.last_event_id for one in card.cards)
