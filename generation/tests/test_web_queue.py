"""Where a card stands in the queue, and when it says that it will go."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from generation import pauses
from generation.models import ModelCap, Output, Prediction, ProviderState, QueueTurn
from generation.states import Status
from generation.tests.making import BANANA, NOW, SEEDANCE, make_prediction, make_sent, make_user
from generation.tests.test_choose import crowd
from generation.web.runs import render_card
from generation.work import places as queue
from generation.work.choose import choose
from generation.work.places import Place, places

pytestmark = pytest.mark.django_db
USUAL = 10.5


@pytest.fixture(autouse=True)
def one_slot(settings: Settings) -> None:
    settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER, settings.CREATES_PER_MINUTE = 1, 4, 60_000


def place(prediction: Prediction, *, seconds: float = 0) -> Place:
    """Its place so many seconds after noon."""
    prediction.refresh_from_db()
    return places([prediction], now=NOW + timedelta(seconds=seconds))[prediction.pk]


def card(prediction: Prediction) -> str:
    prediction.refresh_from_db()
    return " ".join(render_card(prediction, now=NOW).split())


class TestPlace:
    def test_is_the_order_in_which_the_chooser_goes(self, ada: User, bob: User) -> None:
        now = timezone.now()
        for n in range(4):
            make_prediction(user=ada, now=now - timedelta(minutes=9, seconds=-n))
        make_prediction(user=bob, now=now - timedelta(seconds=1))
        waiting = list(Prediction.objects.all())
        found = places(waiting, now=timezone.now())
        foretold = [row.pk for row in sorted(waiting, key=lambda row: found[row.pk].position)]

        went = []
        while chosen := choose(1):
            went += [row.pk for row in chosen]
            Prediction.objects.filter(pk=chosen[0].pk).update(
                status=Status.CANCELED, due_at=None, lease_until=None, lease_token=None
            )

        assert went == foretold
        assert [found[row.pk].position for row in waiting if row.user_id == bob.pk] == [2]

    def test_counts_those_who_wait(self, ada: User, bob: User) -> None:
        rows = [make_prediction(user=user, now=NOW) for user in (ada, bob)]

        assert [(place(row).position, place(row).waiting) for row in rows] == [(1, 2), (2, 2)]

    def test_is_none_of_what_is_being_sent(self, ada: User) -> None:
        [row] = [make_prediction(user=ada, now=timezone.now())]
        choose(1)
        row.refresh_from_db()

        assert places([row], now=timezone.now()) == {}

    def test_goes_back_when_the_user_was_served(self, ada: User, bob: User) -> None:
        first, second = make_prediction(user=ada, now=NOW - timedelta(minutes=5)), make_prediction(user=bob, now=NOW)
        assert [place(row).position for row in (first, second)] == [1, 2]

        QueueTurn.objects.create(user=ada, served_at=NOW + timedelta(seconds=1))

        assert [place(row).position for row in (first, second)] == [2, 1]

    def test_beyond_the_told_ones_is_later_than_all_of_them(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(queue, "MOST_PLACES", 3)
        first = make_prediction(user=ada, now=NOW)
        crowd(first, 5)
        last = Prediction.objects.get(number=5)

        assert (place(first).position, place(first).waiting) == (1, 5)
        assert place(last) == Place(0, 5, 2 * USUAL, 0)
        assert "Later" in card(last) and "of 5" in card(last) and "in more than 21 s" in card(last)

    def test_takes_the_same_statements_whoever_waits(self, ada: User) -> None:
        def statements(rows: list[Prediction]) -> int:
            with CaptureQueriesContext(
                connection,
            ) as seen:
                places(rows, now=NOW)
            return len(seen)

        first = make_prediction(user=ada, now=NOW)
        alone = statements([first])
        for n in range(20):
            make_prediction(user=make_user(username=f"u{n}"), now=NOW)

        assert statements(list(Prediction.objects.all())) == alone

    def test_asks_nothing_when_nobody_waits(self, ada: User, django_assert_num_queries: object) -> None:
        sent, _ = make_sent(user=ada)

        with CaptureQueriesContext(connection) as seen:
            assert places([sent], now=NOW) == {}
        assert len(seen) == 0


class TestEstimate:
    def test_counts_what_stands_before(self, ada: User, bob: User) -> None:
        film = make_prediction(user=ada, model=SEEDANCE, now=NOW)
        picture = make_prediction(user=bob, now=NOW + timedelta(seconds=1))

        assert place(film, seconds=1).starts_in_seconds == 0
        assert place(picture, seconds=1).starts_in_seconds == pytest.approx(38, abs=5)

    def test_counts_what_a_run_has_left(self, ada: User, bob: User) -> None:
        make_sent(user=ada)
        row = make_prediction(user=bob, now=NOW)

        assert place(row, seconds=4).starts_in_seconds == pytest.approx(USUAL - 4)

    def test_gives_what_is_late_a_while_more(self, ada: User, bob: User) -> None:
        make_sent(user=ada)
        row = make_prediction(user=bob, now=NOW)

        assert place(row, seconds=60).starts_in_seconds == pytest.approx(USUAL / 4)

    def test_keeps_to_the_cap_of_a_model(self, settings: Settings, ada: User, bob: User) -> None:
        settings.MAX_IN_FLIGHT = 50
        ModelCap.objects.create(model=BANANA, max_in_flight=1)
        first, second = (make_prediction(user=user, now=NOW) for user in (ada, bob))

        assert [place(row).starts_in_seconds for row in (first, second)] == [0, USUAL]

    def test_keeps_to_the_rate(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT, settings.CREATES_PER_MINUTE = 50, 6
        rows = [make_prediction(user=make_user(username=f"u{n}"), now=NOW) for n in range(12)]

        assert [place(row).starts_in_seconds for row in rows[9:]] == [0, 10, 20]

    def test_waits_for_a_pause_that_the_provider_asked_for(self, ada: User) -> None:
        ProviderState.objects.create(
            provider="sandbox", closed_until=NOW + timedelta(seconds=30), closed_reason="rate_limited"
        )

        assert place(make_prediction(user=ada, now=NOW)).starts_in_seconds == pytest.approx(30)

    def test_waits_until_what_was_handed_back_is_due(self, ada: User) -> None:
        row = make_prediction(user=ada, now=NOW)
        Prediction.objects.update(due_at=NOW + timedelta(seconds=12))

        assert place(row).starts_in_seconds == 12

    def test_is_not_made_while_the_provider_takes_nothing(self, ada: User) -> None:
        row = make_prediction(user=ada, now=NOW)
        ProviderState.objects.create(
            provider="sandbox", closed_until=NOW + timedelta(seconds=30), closed_reason="no_credit", faults=1
        )

        assert place(row).starts_in_seconds is None
        assert "The provider takes no new work just now." in card(row)
        assert "about" not in card(row) and "starts soon" not in card(row)

    def test_is_not_made_while_files_wait_to_be_saved(self, ada: User, bob: User) -> None:
        row = make_prediction(user=ada, now=NOW)
        other, attempt = make_sent(user=bob)
        Prediction.objects.filter(pk=other.pk).update(status=Status.STORING)
        Output.objects.create(
            prediction=other,
            attempt=attempt,
            index=0,
            url="https://replicate.delivery/x.jpg",
            error_code="storage_unavailable",
            expires_at=NOW + timedelta(minutes=5),
            due_at=NOW,
        )

        assert place(row).starts_in_seconds is None
        assert "Finished files are waiting to be saved." in card(row)


class TestAPause:
    def test_takes_its_own_out_of_the_line(self, ada: User, bob: User) -> None:
        held, free = make_prediction(user=ada, now=NOW), make_prediction(user=bob, now=NOW)
        pauses.pause(target=pauses.target_of(user_id=ada.pk), reason="Ask Rui.", by=None, now=NOW)

        assert place(held) == Place(0, 1, None, 0, paused="Ask Rui.")
        assert (place(free).position, place(free).waiting) == (1, 1)
        assert "Paused by an administrator: Ask Rui." in card(held)
        assert ">Paused<" in card(held)
