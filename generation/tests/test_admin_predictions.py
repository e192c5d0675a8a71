"""Predictions in the admin: found, filtered and summed; one of them with all that happened to it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import admin_lists
from accounts.models import User
from accounts.tests.overseeing import ADMIN, make_administrator, make_auditor, make_staff, page
from generation.lifecycle import apply_update, cancel_prediction
from generation.models import Attempt, Prediction, PredictionEvent
from generation.tests.making import FLUX, SEEDANCE, done, make_prediction, make_sent, make_user, says

pytestmark = pytest.mark.django_db
LIST = "generation/prediction/"


@pytest.fixture(autouse=True)
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = make_administrator()
    client.force_login(user)
    return user


def frames(text: str) -> int:
    """How many predictions a list shows."""
    return text.count('class="field-state')


def detail(client: Client, prediction: Prediction) -> str:
    return page(client, f"{LIST}{prediction.pk}/change/")


class TestList:
    def test_says_what_each_cost(self, client: Client) -> None:
        now = timezone.now()
        _, attempt = make_sent(now=now)
        apply_update(attempt=attempt, update=done(metrics={"image_output_count": 1}), now=now)

        shown = page(client, LIST)

        assert "$0.039 (simulated)" in shown
        assert "Sandbox (simulated): 1 predictions, estimated $0.039, booked $0.039" in shown

    def test_marks_a_cost_that_is_an_estimate(self, client: Client) -> None:
        now = timezone.now()
        _, attempt = make_sent(model=SEEDANCE, now=now)
        apply_update(attempt=attempt, update=done(), now=now)

        shown = page(client, LIST)

        assert "$0.18 (estimated, simulated)" in shown
        assert "$0.18 of it by estimate" in shown

    def test_sums_what_is_held_still(self, client: Client) -> None:
        make_prediction(now=timezone.now())

        assert "booked $0.00, $0.039 still held" in page(client, LIST)

    def test_beyond_the_bound_says_so(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admin_lists, "MOST", 1)
        user = make_user()
        for _ in range(2):
            make_prediction(user=user, now=timezone.now())

        shown = page(client, LIST)

        assert "More than 1 rows: choose a filter or a month" in shown
        assert "more than 1 predictions" in shown

    def test_is_filtered_by_what_went_wrong(self, client: Client) -> None:
        prediction = make_prediction(now=timezone.now())
        make_prediction(user=prediction.user, now=timezone.now())
        Prediction.objects.filter(pk=prediction.pk).update(error_code="sensitive")

        assert frames(page(client, LIST, error_code="sensitive")) == 1

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"status": "queued"}, 1),
            ({"status": "unfinished"}, 1),
            ({"status": "canceled"}, 1),
            ({"status": "set_aside"}, 0),
            ({"status": "strange"}, 0),
            ({"model": SEEDANCE}, 1),
            ({"error_code": "sensitive"}, 0),
            ({"cost": "open"}, 1),
            ({"cost": "figures"}, 0),
            ({"provider": "replicate"}, 0),
            ({"provider": "sandbox", "status": "queued"}, 1),
        ],
    )
    def test_is_filtered(self, client: Client, query: dict[str, str], found: int) -> None:
        user, now = make_user(), timezone.now()
        make_prediction(user=user, now=now)
        cancel_prediction(prediction=make_prediction(user=user, model=SEEDANCE, now=now), now=now)

        assert frames(page(client, LIST, **query)) == found

    def test_finds_what_was_set_aside(self, client: Client) -> None:
        prediction = make_prediction()
        Prediction.objects.update(quarantined_at=timezone.now())

        shown = page(client, LIST, status="set_aside")

        assert str(prediction.pk) in shown
        assert "queued, set aside" in shown

    def test_is_searched_by_whole_words(self, client: Client) -> None:
        ada, eve = make_user(), make_user(username="eve")
        first, attempt = make_sent(user=ada, provider_id="abc123")
        second = make_prediction(user=ada)
        make_prediction(user=eve)

        for term, found in (
            (str(first.pk), 1),
            (str(attempt.pk), 1),
            ("abc123", 1),
            ("ada", 2),
            ("ADA@example.com", 2),
            (f"ada {second.number}", 1),
            (f"ada #{second.number}", 1),
            ("ad", 0),
            ("ada 99999999999999999999", 0),
            ("01a20f10-31a0-4d12-bc5c-2003a9e664a9", 0),
            ("%", 0),
        ):
            assert (term, frames(page(client, LIST, q=term))) == (term, found)

    def test_is_linked_by_account(self, client: Client) -> None:
        ada = make_user()
        make_prediction(user=ada)
        make_prediction(user=make_user(username="eve"))

        assert frames(page(client, LIST, user=ada.pk)) == 1

    def test_takes_the_same_number_of_statements_for_any_number(
        self, client: Client, django_assert_num_queries: Any
    ) -> None:
        user = make_user(daily_count_limit=None)
        make_prediction(user=user)
        page(client, LIST)
        with django_assert_num_queries(7):
            page(client, LIST)
        for _ in range(60):
            make_prediction(user=user)

        with django_assert_num_queries(7):
            page(client, LIST)

    @pytest.mark.parametrize("name", ["prompt__icontains", "user__password", "quote__rules", "attempts__address_token"])
    def test_refuses_look_ups_that_it_does_not_offer(self, client: Client, name: str) -> None:
        assert client.get(f"{ADMIN}{LIST}", {name: "a"}).status_code == 400


class TestSumsOfMany:
    @pytest.fixture(autouse=True)
    def many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two of three wait."""
        monkeypatch.setattr(admin_lists, "AT_ONCE", 1)
        user, now = make_user(), timezone.now()
        for _ in range(2):
            make_prediction(user=user, now=now)
        cancel_prediction(prediction=make_prediction(user=user, model=SEEDANCE, now=now), now=now)

    def test_come_after_the_list(self, client: Client) -> None:
        shown = page(client, LIST, status="queued", p="1")

        assert "Add up these 2 rows" in shown
        assert f'hx-get="/admin/{LIST}sums/?status=queued"' in shown
        assert "htmx" in shown
        assert "booked" not in shown

    def test_are_those_of_the_filter(self, client: Client) -> None:
        fragment = client.get(f"{ADMIN}{LIST}sums/?status=queued", headers={"HX-Request": "true"}).content.decode()

        assert "Sandbox (simulated): 2 predictions, estimated $0.078, booked $0.00, $0.078 still held" in fragment
        assert "hx-get" not in fragment and "<html" not in fragment

    def test_are_on_a_page_of_their_own_without_scripts(self, client: Client) -> None:
        shown = page(client, f"{LIST}sums/", status="queued")

        assert "2 predictions, estimated $0.078" in shown
        assert frames(shown) == 2
        assert "hx-get" not in shown and "htmx" not in shown

    def test_come_with_the_list_where_it_is_short(self, client: Client) -> None:
        assert "1 predictions, estimated $0.18, booked $0.00" in page(client, LIST, status="canceled")

    def test_of_a_strange_address_lead_back(self, client: Client) -> None:
        assert client.get(f"{ADMIN}{LIST}sums/?created_at__month=5").status_code == 302
        assert client.post(f"{ADMIN}{LIST}sums/").status_code == 405

    def test_are_not_for_everybody(self, client: Client) -> None:
        address = f"{ADMIN}{LIST}sums/"
        client.logout()
        assert client.get(address).status_code == 302
        client.force_login(make_staff())
        assert client.get(address).status_code == 403
        client.force_login(make_auditor())
        assert client.get(address).status_code == 200


class TestDetail:
    def test_shows_attempts_money_files_and_timeline(self, client: Client) -> None:
        now = timezone.now()
        prediction, attempt = make_sent(now=now)
        apply_update(attempt=attempt, update=says("processing", started_at=now), now=now)
        apply_update(
            attempt=attempt,
            update=done(metrics={"image_output_count": 1}, raw={"status": "succeeded", "metrics": {"predict_time": 8}}),
            now=now + timedelta(seconds=9),
        )

        shown = detail(client, prediction)

        for words in (
            "Attempt 1 at sandbox: succeeded",
            "&quot;predict_time&quot;: 8",
            "reserve $0.039",
            "settle $0.039",
            "Asked for; in the queue",
            "Attempt 1 sent to sandbox",
            "Made and paid for",
            "waiting",
            f"/accounts/user/{prediction.user_id}/change/",
        ):
            assert words in shown

    def test_escapes_what_the_provider_says(self, client: Client) -> None:
        prediction, attempt = make_sent()
        words = "<script>alert(1)</script>"
        apply_update(
            attempt=attempt,
            update=says("failed", error=words, logs=words, raw={"error": words, words: [words]}),
            now=timezone.now(),
        )

        shown = detail(client, prediction)

        assert words not in shown
        assert "&lt;script&gt;" in shown

    def test_keeps_the_address_s_token_to_itself(self, client: Client) -> None:
        prediction, attempt = make_sent()
        address = f"https://studio.example/api/webhooks/replicate?prediction=x&token={attempt.address_token}"
        apply_update(attempt=attempt, update=says("processing", raw={"webhook": address}), now=timezone.now())

        shown = detail(client, prediction)

        assert attempt.address_token not in shown
        assert "token=•••" in shown

    def test_cuts_what_is_long(self, client: Client) -> None:
        prediction, attempt = make_sent()
        raw = {
            "uri": "data:image/png;base64," + "A" * 2_000_000,
            "list": ["b" * 40] * 1000,
            "words": {f"k{n}": "d" * 400 for n in range(100)},
        }
        Attempt.objects.filter(pk=attempt.pk).update(answer=raw, logs="c" * 60_000)
        PredictionEvent.objects.bulk_create(
            PredictionEvent(
                prediction=prediction, user_id=1, name="progress", data={"progress": 0.1}, created_at=timezone.now()
            )
            for _ in range(300)
        )

        shown = detail(client, prediction)

        assert "2,000,022 characters" in shown
        assert "… 950 more" in shown
        assert "characters in all" in shown
        assert "Only the newest events are shown." in shown
        assert len(shown) < 120_000

    def test_takes_a_bounded_number_of_statements(self, client: Client, django_assert_max_num_queries: Any) -> None:
        prediction, attempt = make_sent()
        apply_update(attempt=attempt, update=done("https://a.example/1", "https://a.example/2"), now=timezone.now())
        detail(client, prediction)

        with django_assert_max_num_queries(9):
            detail(client, prediction)

    @pytest.mark.parametrize("key", ["abc", "0", "01a20f10-31a0-4d12-bc5c-2003a9e664a9", "%00", "a/b"])
    def test_of_nothing_leads_back(self, client: Client, key: str) -> None:
        assert client.get(f"{ADMIN}{LIST}{key}/change/").status_code in (302, 400, 404)

    def test_is_read_only(self, client: Client) -> None:
        prediction = make_prediction(model=FLUX)

        response = client.post(f"{ADMIN}{LIST}{prediction.pk}/change/", {"status": "succeeded", "cost_micros": 0})

        assert response.status_code == 403
        prediction.refresh_from_db()
        assert prediction.status == "queued"
