"""Who goes next, and how many."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.deletion import delete_account
from generation.lifecycle import cancel_prediction, ending
from generation.models import ModelCap, Prediction, ProviderState
from generation.states import Status
from generation.tests.making import BANANA, SEEDANCE, make_prediction, make_sent, make_user
from generation.work import choose as choosing
from generation.work import fair
from generation.work.choose import LOOKED_AT, TRIERS, choose, line, unsent


@pytest.fixture(autouse=True)
def roomy(settings: Settings) -> None:
    settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER, settings.CREATES_PER_MINUTE = 50, 4, 6000


def end_all() -> None:
    """Whatever was chosen has run and ended."""
    Prediction.objects.exclude(lease_token=None).update(
        status=Status.CANCELED, submitted_at=timezone.now(), lease_token=None, lease_until=None, due_at=None
    )


def crowd(like: Prediction, count: int) -> None:
    """So many of one user's, all alike, waiting as long as this one."""
    names = [field.attname for field in Prediction._meta.concrete_fields if not field.primary_key]
    same = {name: getattr(like, name) for name in names}
    Prediction.objects.bulk_create(
        Prediction(**(same | {"number": n})) for n in range(like.number + 1, like.number + count)
    )


@pytest.mark.django_db
class TestChoose:
    def test_takes_each_users_first_before_anybodys_second(self) -> None:
        ada, bob = make_user(), make_user(username="bob")
        now = timezone.now() - timedelta(minutes=1)
        for n in range(3):
            make_prediction(user=ada, now=now + timedelta(seconds=n))
        make_prediction(user=bob, now=now + timedelta(seconds=10))

        chosen = choose(2)

        assert {row.user_id for row in chosen} == {ada.pk, bob.pk}

    def test_gives_no_user_more_than_the_cap(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT_PER_USER = 2
        user = make_user()
        for _ in range(4):
            make_prediction(user=user, now=timezone.now())

        assert len(choose(10)) == 2
        assert choose(10) == []

    def test_lets_a_turn_pass_to_whoever_was_not_served(self) -> None:
        ada, bob = make_user(), make_user(username="bob")
        now = timezone.now()
        for _ in range(3):
            make_prediction(user=ada, now=now - timedelta(hours=1))
        assert [row.user_id for row in choose(1)] == [ada.pk]
        end_all()
        make_prediction(user=bob, now=now)

        went = []
        for _ in range(3):
            went += [row.user_id for row in choose(1)]
            end_all()

        assert went == [bob.pk, ada.pk, ada.pk]

    def test_looks_past_thousands_of_another_s(self) -> None:
        ada, bob = make_user(), make_user(username="bob")
        now = timezone.now()
        crowd(make_prediction(user=bob, now=now - timedelta(hours=1)), 3 * LOOKED_AT)
        make_prediction(user=ada, now=now)

        went = []
        for _ in range(3):
            went += [row.user_id for row in choose(1)]
            end_all()

        assert ada.pk in went

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_overlooks_nobody_by_reading_no_more_of_each_than_may_go(self, limit: int) -> None:
        now = timezone.now()
        users = [make_user(username=f"u{number}") for number in range(3)]
        for number in range(24):
            model = [BANANA, SEEDANCE][number % 2]
            make_prediction(user=users[number % 5 % 3], model=model, now=now - timedelta(seconds=number**2 % 97))
        plenty = fair.Caps(total=100, per_user=100)

        def chosen(**more: int) -> list[UUID]:
            waiting_now = line(unsent(), most=LOOKED_AT, **more)
            return [item.id for item in fair.choose(waiting=waiting_now, running=[], caps=plenty, limit=limit, now=now)]

        assert chosen(each=limit) == chosen()
        assert len(line(unsent(), most=LOOKED_AT, each=limit)) == 6 * min(limit, 4)

    def test_prefers_staff_to_what_came_a_little_earlier(self) -> None:
        now = timezone.now()
        make_prediction(user=make_user(), now=now - timedelta(minutes=2))
        staff = make_user(username="bob", is_staff=True)
        make_prediction(user=staff, now=now)

        assert [row.user_id for row in choose(1)] == [staff.pk]

    def test_gives_no_model_more_than_its_cap(self) -> None:
        ModelCap.objects.create(model=BANANA, max_in_flight=2)
        make_sent(model=SEEDANCE, now=timezone.now())
        Prediction.objects.update(status=Status.PROCESSING)
        now = timezone.now() - timedelta(minutes=1)
        for n in range(3):
            user = make_user(username=f"u{n}")
            make_prediction(user=user, now=now)
            make_prediction(user=user, model=SEEDANCE, now=now)

        chosen = choose(4) + choose(4)

        assert Counter(row.model for row in chosen) == {BANANA: 2, SEEDANCE: 3}

    def test_lets_nobody_wait_behind_a_model_that_is_full(self) -> None:
        ModelCap.objects.create(model=BANANA, max_in_flight=1)
        make_sent(user=make_user(), now=timezone.now())
        bob = make_user(username="bob")
        film = make_prediction(user=bob, model=SEEDANCE, now=timezone.now())
        crowd(make_prediction(user=bob, now=timezone.now() - timedelta(hours=1)), LOOKED_AT + 5)

        assert choose(9) == [film]

    def test_counts_what_is_already_at_the_provider(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT = 1
        make_sent(now=timezone.now())
        make_prediction(user=make_user(username="bob"), now=timezone.now())

        assert choose(10) == []

    def test_keeps_to_the_rate(self, settings: Settings) -> None:
        settings.CREATES_PER_MINUTE = 60
        for n in range(30):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())

        chosen = sum(len(choose(50)) for _ in range(4))

        assert 1 <= chosen <= 11

    def test_sends_nothing_of_an_account_that_is_being_deleted(self) -> None:
        prediction = make_prediction(user=make_user(), now=timezone.now())
        delete_account(user=prediction.user, now=timezone.now())

        assert choose(10) == []

    def test_loses_no_pause_that_comes_during_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_prediction(now=timezone.now())
        until = timezone.now() + timedelta(minutes=1)
        claim = choosing._spend_rate

        def late(*args: Any) -> bool:
            ProviderState.objects.update(closed_until=until)
            return claim(*args)

        monkeypatch.setattr(choosing, "_spend_rate", late)

        assert choose(10) == []
        assert ProviderState.objects.get().closed_until == until

    def test_relies_on_no_count_from_the_turn_of_the_release_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of an upgrade: that one moves the meter first, claims then, and gives its turn back in the end."""
        make_prediction(now=timezone.now())
        ProviderState.objects.create(provider="sandbox", turn_until=timezone.now() + timedelta(seconds=10))
        claim = choosing._spend_rate

        def late(*args: Any) -> bool:
            ProviderState.objects.update(turn_until=None)
            return claim(*args)

        monkeypatch.setattr(choosing, "_spend_rate", late)

        assert choose(10) == []

    def test_waits_while_the_door_is_closed(self) -> None:
        make_prediction(now=timezone.now())
        ProviderState.objects.create(
            provider="sandbox", closed_until=timezone.now() + timedelta(minutes=1), closed_reason="rate_limited"
        )

        assert choose(10) == []

    def test_sends_one_when_the_circuit_is_half_open(self) -> None:
        for n in range(3):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())
        ProviderState.objects.create(
            provider="sandbox", closed_until=timezone.now() - timedelta(seconds=1), closed_reason="no_credit", faults=1
        )

        assert len(choose(10)) == 1


@pytest.mark.django_db
class TestUnproven:
    """Nothing unfinished shows that the provider takes work, as when the token is bad from the start."""

    def queue(self, count: int) -> None:
        for n in range(count):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())

    def test_provider_gets_three_at_first(self) -> None:
        self.queue(6)

        assert [len(choose(10)) for _ in range(2)] == [TRIERS, 0]

    def test_provider_gets_all_once_it_has_taken_one(self) -> None:
        self.queue(6)
        first, *_ = choose(10)
        Prediction.objects.filter(pk=first.pk).update(
            status=Status.STARTING, submitted_at=timezone.now(), lease_token=None, lease_until=None
        )

        assert len(choose(10)) == 3

    def test_provider_is_not_waited_for_on_account_of_doubts(self) -> None:
        for n in range(3):
            make_sent(user=make_user(username=f"doubtful{n}"), now=timezone.now(), provider_id=f"p{n}")
        self.queue(3)

        assert len(choose(10)) == 3


@pytest.mark.django_db
class TestLowOnCredit:
    @pytest.fixture(autouse=True)
    def queue(self) -> None:
        for n in range(3):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())

    def state(self, **fields: datetime) -> None:
        ProviderState.objects.update_or_create(provider="sandbox", defaults=fields)

    def test_is_one_create_at_a_time(self) -> None:
        self.state(slow_until=timezone.now() + timedelta(minutes=5))

        assert [len(choose(10)) for _ in range(3)] == [1, 0, 0]

    @pytest.mark.parametrize(("seconds", "count"), [(9, 0), (11, 1)])
    def test_is_six_creates_a_minute(self, seconds: int, count: int) -> None:
        now = timezone.now()
        self.state(slow_until=now + timedelta(minutes=5), slot_at=now - timedelta(seconds=seconds))

        assert len(choose(10)) == count

    def test_ends(self) -> None:
        self.state(slow_until=timezone.now() - timedelta(seconds=1))

        assert len(choose(10)) == 3


@pytest.mark.django_db(transaction=True)
class TestManyChoosers:
    def test_stay_within_the_cap_together(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT = 6
        make_sent(user=make_user(), now=timezone.now())
        Prediction.objects.update(status=Status.PROCESSING)
        for n in range(20):
            make_prediction(user=make_user(username=f"u{n}"), now=timezone.now())

        def one(_: int) -> list[str]:
            try:
                return [str(row.pk) for row in choose(20)]
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as pool:
            chosen = Counter(pk for rows in pool.map(one, range(24)) for pk in rows)

        assert len(chosen) == 5
        assert set(chosen.values()) == {1}
        assert Prediction.objects.exclude(lease_token=None).count() == 5

    def test_leave_alone_what_is_canceled_at_the_same_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction = make_prediction(now=timezone.now())
        fairest, chosen, canceling = fair.choose, threading.Event(), threading.Event()

        def slowly(name: str) -> None:
            # The row is locked, and nobody else sees yet that it has ended.
            canceling.set()
            time.sleep(0.5)

        def choose_first(**given: Any) -> Any:
            found = fairest(**given)
            chosen.set()
            canceling.wait(60)
            return found

        def cancel() -> None:
            chosen.wait(60)
            try:
                cancel_prediction(prediction=prediction, now=timezone.now())
            finally:
                connection.close()

        monkeypatch.setattr(ending, "faultpoint", slowly)
        monkeypatch.setattr(fair, "choose", choose_first)
        other = threading.Thread(target=cancel)
        other.start()

        taken = choose(1)
        other.join()

        prediction.refresh_from_db()
        assert (taken, prediction.status, prediction.lease_token) == ([], "canceled", None)
