"""Who goes next, and how many."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from generation.models import Prediction, ProviderState
from generation.tests.making import make_prediction, make_sent, make_user
from generation.work.choose import choose


@pytest.fixture(autouse=True)
def roomy(settings: Settings) -> None:
    settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER, settings.CREATES_PER_MINUTE = 50, 4, 6000


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
            provider="sandbox", closed_until=timezone.now(), closed_reason="no_credit", faults=1
        )

        assert len(choose(10)) == 1


@pytest.mark.django_db(transaction=True)
class TestManyChoosers:
    def test_stay_within_the_cap_together(self, settings: Settings) -> None:
        settings.MAX_IN_FLIGHT = 5
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
