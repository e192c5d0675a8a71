"""What can be done with a card, by its owner and by nobody else."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import LedgerEntry, User
from generation import lifecycle
from generation.models import Prediction
from generation.states import Status
from generation.tests.making import make_prediction, make_sent, make_user
from generation.tests.test_web_generate import HTMX, text

pytestmark = pytest.mark.django_db
ACTIONS = ["cancel", "retry", "keep-waiting"]


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def failed(user: User) -> Prediction:
    prediction = make_prediction(user=user, now=timezone.now())
    lifecycle.fail_unsent(prediction=prediction, code="provider_error", now=timezone.now())
    prediction.refresh_from_db()
    return prediction


class TestCard:
    def test_is_shown_to_its_owner(self, client: Client, user: User) -> None:
        prediction = make_prediction(user=user)

        assert 'data-state="queued"' in text(client.get(f"/predictions/{prediction.pk}/card"))

    def test_is_not_there_for_a_stranger(self, client: Client) -> None:
        theirs = make_prediction(user=make_user(username="bob"))

        assert client.get(f"/predictions/{theirs.pk}/card").status_code == 404
        assert client.get(f"/predictions/{uuid.uuid4()}/card").status_code == 404

    def test_sends_anonymous_people_to_the_door(self, user: User) -> None:
        prediction = make_prediction(user=user)

        assert Client().get(f"/predictions/{prediction.pk}/card").status_code == 302


@pytest.mark.parametrize("action", ACTIONS)
class TestEveryAction:
    def test_is_the_owners(self, client: Client, action: str) -> None:
        theirs = make_prediction(user=make_user(username="bob"))

        assert client.post(f"/predictions/{theirs.pk}/{action}").status_code == 404
        assert client.post(f"/predictions/{uuid.uuid4()}/{action}").status_code == 404
        theirs.refresh_from_db()
        assert theirs.status == Status.QUEUED

    def test_is_not_for_anonymous_people(self, user: User, action: str) -> None:
        prediction = make_prediction(user=user)

        answer = Client().post(f"/predictions/{prediction.pk}/{action}", headers=HTMX)

        assert (answer.status_code, answer["HX-Redirect"]) == (204, "/accounts/login/")
        prediction.refresh_from_db()
        assert prediction.status == Status.QUEUED

    def test_needs_the_token_and_a_post(self, user: User, action: str) -> None:
        prediction = make_prediction(user=user)
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)

        assert client.post(f"/predictions/{prediction.pk}/{action}").status_code == 403
        assert client.get(f"/predictions/{prediction.pk}/{action}").status_code == 405


class TestCancel:
    def test_ends_what_was_not_sent(self, client: Client, user: User) -> None:
        prediction = make_prediction(user=user)

        html = text(client.post(f"/predictions/{prediction.pk}/cancel", headers=HTMX))

        assert 'data-state="canceled"' in html and "You were not charged." in html

    def test_works_without_scripts(self, client: Client, user: User) -> None:
        prediction = make_prediction(user=user)

        answer = client.post(f"/predictions/{prediction.pk}/cancel")

        assert (answer.status_code, answer["Location"]) == (303, "/#prediction-1")

    def test_says_when_it_is_too_late(self, client: Client, user: User) -> None:
        prediction = failed(user)

        html = text(client.post(f"/predictions/{prediction.pk}/cancel", headers=HTMX))

        assert "It was too late to cancel frame 1" in html and 'data-state="failed"' in html


class TestKeepWaiting:
    def test_hides_the_question(self, client: Client, user: User) -> None:
        prediction, _ = make_sent(user=user, now=timezone.now() - timedelta(minutes=5))
        Prediction.objects.filter(pk=prediction.pk).update(status=Status.PROCESSING, started_at=prediction.submitted_at)
        assert "Taking longer than expected" in text(client.get("/"))

        html = text(client.post(f"/predictions/{prediction.pk}/keep-waiting", headers=HTMX))

        assert "Taking longer" not in html and "Generating your content…" in html
        assert "Taking longer" not in text(client.get("/"))


class TestRetry:
    def test_makes_a_new_frame(self, client: Client, user: User) -> None:
        prediction = failed(user)

        answer = client.post(f"/predictions/{prediction.pk}/retry")

        assert answer["Location"] == "/#prediction-2"
        assert Prediction.objects.get(number=2).retry_of == prediction

    def test_puts_the_new_card_on_the_sheet(self, client: Client, user: User) -> None:
        today = timezone.localdate().isoformat()
        prediction = failed(user)

        answer = client.post(f"/predictions/{prediction.pk}/retry", {"newest_day": today}, headers=HTMX)

        assert f'hx-swap-oob="afterbegin:#day-{today}"' in text(answer) and 'id="prediction-2"' in text(answer)
        assert answer["HX-Reswap"] == "none"

    def test_pressed_twice_asks_once(self, client: Client, user: User) -> None:
        prediction, key = failed(user), str(uuid.uuid4())

        for _ in range(2):
            client.post(f"/predictions/{prediction.pk}/retry", {"idempotency_key": key})

        assert Prediction.objects.count() == 2
        assert LedgerEntry.objects.filter(kind="reserve").count() == 2

    def test_says_why_not(self, client: Client, user: User) -> None:
        prediction = failed(user)
        User.objects.update(daily_micros_limit=0)

        answer = client.post(f"/predictions/{prediction.pk}/retry", headers=HTMX)

        assert answer.status_code == 422
        assert "limit of $0.00 a day" in text(answer) and 'hx-swap-oob="beforeend"' in text(answer)

    def test_has_nothing_to_do_for_what_runs(self, client: Client, user: User) -> None:
        prediction = make_prediction(user=user)

        assert "nothing to retry" in text(client.post(f"/predictions/{prediction.pk}/retry", headers=HTMX))
