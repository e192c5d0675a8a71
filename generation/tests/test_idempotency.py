"""One key, one prediction: for a day, for twenty senders at once, and whatever dies in between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import LedgerEntry, User
from accounts.quotas import QuotaExceeded
from generation.lifecycle import IdempotencyConflict, asking, cancel_prediction, retry_prediction
from generation.models import Prediction
from generation.tests.making import make_prediction, make_user

SENDERS = 20


def canceled(user: User, **raw: str) -> Prediction:
    """One that may be tried again."""
    prediction = make_prediction(user=user, now=timezone.now(), **raw)
    return cancel_prediction(prediction=prediction, now=timezone.now())


def at_once(send: Callable[[], Prediction]) -> set[object]:
    """What twenty senders are answered who send at the same moment."""
    together = Barrier(SENDERS)

    def one(_: int) -> object:
        try:
            together.wait(60)
            return send().pk
        finally:
            connection.close()

    with ThreadPoolExecutor(SENDERS) as pool:
        return set(pool.map(one, range(SENDERS)))


def held() -> int:
    """Reservations that are open."""
    return LedgerEntry.objects.filter(kind="reserve").count() - LedgerEntry.objects.exclude(kind="reserve").count()


@pytest.mark.django_db
class TestADay:
    @pytest.mark.parametrize(("age", "made"), [(timedelta(hours=23, minutes=59), 1), (timedelta(hours=24), 2)])
    def test_is_how_long_a_key_is_known(self, age: timedelta, made: int) -> None:
        user, now = make_user(), timezone.now()
        make_prediction(user=user, now=now - age, key="k")

        make_prediction(user=user, now=now, key="k")

        assert Prediction.objects.count() == made
        assert Prediction.objects.get(idempotency_key="k").created_at == (now if made == 2 else now - age)

    def test_frees_it_for_another_request(self) -> None:
        user, now = make_user(), timezone.now()
        make_prediction(user=user, now=now - timedelta(hours=25), key="k", prompt="a lake")

        assert make_prediction(user=user, now=now, key="k", prompt="a hill").was_created

    def test_leaves_the_key_where_the_new_request_is_refused(self) -> None:
        user, now = make_user(daily_count_limit=1), timezone.now()
        first = make_prediction(user=user, now=now - timedelta(hours=25), key="k")
        make_prediction(user=user, now=now)

        with pytest.raises(QuotaExceeded):
            make_prediction(user=user, now=now, key="k")

        assert Prediction.objects.get(idempotency_key="k") == first


@pytest.mark.django_db
class TestRetries:
    def test_of_two_that_are_alike_do_not_share_a_key(self) -> None:
        user = make_user()
        one, other = canceled(user), canceled(user)
        made = retry_prediction(prediction=one, now=timezone.now(), idempotency_key="k")

        with pytest.raises(IdempotencyConflict):
            retry_prediction(prediction=other, now=timezone.now(), idempotency_key="k")

        assert retry_prediction(prediction=one, now=timezone.now(), idempotency_key="k") == made

    @pytest.mark.parametrize(("place", "made"), [("ask.before_commit", 0), ("ask.after_commit", 1)])
    def test_that_die_are_repeated_as_one(self, monkeypatch: pytest.MonkeyPatch, place: str, made: int) -> None:
        class Died(Exception):
            pass

        def die(name: str) -> None:
            if name == place:
                raise Died

        earlier = canceled(make_user())
        with monkeypatch.context() as patch:
            patch.setattr(asking, "faultpoint", die)
            with pytest.raises(Died):
                retry_prediction(prediction=earlier, now=timezone.now(), idempotency_key="k")
        assert (Prediction.objects.filter(idempotency_key="k").count(), held()) == (made, made)

        again = retry_prediction(prediction=earlier, now=timezone.now(), idempotency_key="k")

        assert Prediction.objects.get(idempotency_key="k") == again
        assert held() == 1


@pytest.mark.django_db(transaction=True)
class TestTwentySenders:
    def test_of_a_retry_get_one(self) -> None:
        earlier = canceled(make_user())

        answered = at_once(lambda: retry_prediction(prediction=earlier, now=timezone.now(), idempotency_key="k"))

        assert answered == {Prediction.objects.get(idempotency_key="k").pk}
        assert held() == 1

    def test_of_a_key_that_is_a_day_old_get_one(self) -> None:
        user, now = make_user(), timezone.now()
        make_prediction(user=user, now=now - timedelta(hours=25), key="k")

        answered = at_once(lambda: make_prediction(user=user, now=now, key="k"))

        assert answered == {Prediction.objects.get(idempotency_key="k").pk}
        assert Prediction.objects.count() == 2
