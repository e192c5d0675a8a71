"""How many may wait, and what is said to the one after that."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import LedgerEntry, User
from generation import lifecycle
from generation.models import Prediction
from generation.states import Status
from generation.tests.calling import ESTIMATE, IMAGE, VIDEO, Caller, problem
from generation.tests.making import make_prediction, make_sent, make_user

FILM = {"prompt": "waves", "duration": 5, "resolution": "720p"}


@pytest.fixture(autouse=True)
def shallow(settings: Settings) -> None:
    settings.MAX_QUEUED, settings.MAX_QUEUED_PER_USER = 5, 3


def ask(user: User, times: int = 1) -> None:
    for _ in range(times):
        make_prediction(user=user, now=timezone.now())


@pytest.mark.django_db
class TestDepth:
    def test_of_one_user_is_bounded(self) -> None:
        ada = make_user()
        ask(ada, 3)

        with pytest.raises(lifecycle.QueueFull) as refused:
            ask(ada)

        assert (refused.value.scope, refused.value.limit) == ("user", 3)
        assert Prediction.objects.count() == LedgerEntry.objects.count() == 3
        ask(make_user(username="bob"))

    def test_of_all_is_bounded(self) -> None:
        ask(make_user(), 3)
        ask(make_user(username="bob"), 2)

        with pytest.raises(lifecycle.QueueFull) as refused:
            ask(make_user(username="eve"))

        assert (refused.value.scope, refused.value.limit) == ("site", 5)

    def test_counts_what_waits_and_nothing_else(self) -> None:
        ada = make_user()
        make_sent(user=ada, now=timezone.now())
        ask(ada, 2)
        Prediction.objects.filter(submitted_at=None).update(status=Status.CANCELED, due_at=None)

        ask(ada, 3)

    def test_answers_a_repeated_key_before_it_is_looked_at(self) -> None:
        ada = make_user()
        first = make_prediction(user=ada, now=timezone.now(), key="k")
        ask(ada, 2)

        assert make_prediction(user=ada, now=timezone.now(), key="k") == first


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_do_not_pass_the_bound_together(self, settings: Settings) -> None:
        settings.MAX_QUEUED_PER_USER = settings.MAX_QUEUED = 7
        ada = make_user()

        def one(_: int) -> bool:
            try:
                ask(ada)
            except lifecycle.QueueFull:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(6) as pool:
            taken = list(pool.map(one, range(18)))

        assert sum(taken) == Prediction.objects.count() == 7


@pytest.mark.django_db
class TestApi:
    @pytest.mark.parametrize(("path", "body", "least"), [(IMAGE, {"prompt": "a lake"}, 5), (VIDEO, FILM, 20)])
    def test_answers_429_with_the_time_after_which_it_is_worth_a_try(
        self, path: str, body: dict[str, object], least: int
    ) -> None:
        ada = make_user()
        ask(ada, 3)

        answer = Caller(ada).post(path, body)

        told = problem(answer, 429)
        assert (told["code"], told["charged"]) == ("queue_full", "none")
        assert told["limit"] == {"scope": "user", "unit": "queued", "amount": 3}
        assert least <= int(answer["Retry-After"]) <= 60
        assert "3 of your requests are waiting already" in told["detail"]

    def test_takes_it_when_some_have_started(self) -> None:
        ada = make_user()
        ask(ada, 3)
        Prediction.objects.filter(number=1).update(submitted_at=timezone.now(), status=Status.STARTING)

        assert Caller(ada).post(IMAGE, {"prompt": "a lake"}).status_code == 201

    def test_tells_it_beside_an_estimate(self) -> None:
        ada = make_user()
        ask(ada, 3)

        told = Caller(ada).post(ESTIMATE, {"prompt": "a lake"}).json()

        assert (told["allowed"], "waiting already" in told["reason"]) == (False, True)

    def test_holds_for_a_retry_too(self) -> None:
        ada = make_user()
        ended = make_prediction(user=ada, now=timezone.now() - timedelta(minutes=1))
        Prediction.objects.update(status=Status.CANCELED, due_at=None)
        ask(ada, 3)

        assert problem(Caller(ada).post(f"/api/predictions/{ended.pk}/retry"), 429)["code"] == "queue_full"


@pytest.mark.django_db
class TestForm:
    def test_says_it_and_keeps_what_was_written(self, client: Client) -> None:
        ada = make_user()
        ask(ada, 3)
        client.force_login(ada)

        page = client.post("/generate", {"prompt": "a very long thought"})

        assert page.status_code == 422
        assert "3 of your requests are waiting already" in page.content.decode()
        assert "a very long thought" in page.content.decode()
