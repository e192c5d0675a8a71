"""A reservation has one end, booked where it was made."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts import quotas
from accounts.models import LedgerEntry, QuotaPeriod
from accounts.quotas import NoOutcome, NoReservation
from accounts.tests.factories import NOON, hold, make_user

Counters = tuple[int, int, int, int]


def counters() -> set[Counters]:
    """The different counters of all rows: (reserved count, reserved micros, settled count, settled micros)."""
    return set(QuotaPeriod.objects.values_list("reserved_count", "reserved_micros", "settled_count", "settled_micros"))


@pytest.mark.django_db
class TestSettle:
    def test_books_the_actual_in_full_even_above_the_estimate(self) -> None:
        entry = hold(make_user(), amount_micros=20_000)

        assert quotas.settle(
            reference=entry.reference, amount_micros=90_000, estimated=False, end="succeeded", now=NOON
        )

        assert counters() == {(0, 0, 1, 90_000)}

    def test_marks_an_amount_that_was_estimated(self) -> None:
        entry = hold(make_user())

        quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=True, end="succeeded", now=NOON)

        assert LedgerEntry.objects.get(kind="settle").estimated

    def test_changes_nothing_the_second_time(self) -> None:
        entry = hold(make_user())
        quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=False, end="succeeded", now=NOON)

        assert not quotas.settle(
            reference=entry.reference, amount_micros=50_000, estimated=False, end="succeeded", now=NOON
        )

        assert counters() == {(0, 0, 1, 39_000)}

    def test_books_to_the_day_the_reservation_was_made(self) -> None:
        before_midnight = datetime(2026, 7, 31, 23, 59, tzinfo=UTC)
        user = make_user()
        entry = hold(user, now=before_midnight, provider="sandbox")

        later = before_midnight + timedelta(minutes=2)
        quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=False, end="succeeded", now=later)

        assert quotas.usage(user=user, now=before_midnight).day.usd.settled == 39_000
        assert quotas.usage(user=user, now=later).month.usd.settled == 0

    def test_refuses_what_was_never_reserved(self) -> None:
        with pytest.raises(NoReservation):
            quotas.settle(reference=uuid.uuid4(), amount_micros=1, estimated=False, end="succeeded", now=NOON)

    def test_keeps_its_entry_when_the_user_is_gone(self) -> None:
        user = make_user()
        entry = hold(user)
        scope = f"user:{user.pk}"
        user.delete()

        assert quotas.settle(reference=entry.reference, amount_micros=1, estimated=False, end="succeeded", now=NOON)

        assert [(e.user, e.user_scope) for e in LedgerEntry.objects.all()] == [(None, scope)] * 2


@pytest.mark.django_db
class TestRelease:
    def test_gives_amount_and_count_back(self) -> None:
        entry = hold(make_user())

        assert quotas.release(reference=entry.reference, reason="failed", end="failed", now=NOON)

        assert counters() == {(0, 0, 0, 0)}

    def test_changes_nothing_after_a_settlement(self) -> None:
        entry = hold(make_user())
        quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=False, end="succeeded", now=NOON)

        assert not quotas.release(reference=entry.reference, reason="late", end="failed", now=NOON)

        assert counters() == {(0, 0, 1, 39_000)}


@pytest.mark.django_db
class TestTransfer:
    def test_passes_the_reservation_over_without_asking_a_limit(self) -> None:
        user = make_user(daily_count_limit=1)
        entry = hold(user)
        second = uuid.uuid4()

        assert quotas.transfer(reference=entry.reference, to=second, now=NOON + timedelta(days=1))

        assert counters() == {(1, 39_000, 0, 0)}
        assert quotas.settle(reference=second, amount_micros=30_000, estimated=False, end="succeeded", now=NOON)
        assert counters() == {(0, 0, 1, 30_000)}

    def test_changes_nothing_after_an_end(self) -> None:
        entry = hold(make_user())
        quotas.release(reference=entry.reference, reason="failed", end="failed", now=NOON)

        assert not quotas.transfer(reference=entry.reference, to=uuid.uuid4(), now=NOON)

        assert LedgerEntry.objects.count() == 2

    def test_ends_the_first_reference(self) -> None:
        entry = hold(make_user())
        quotas.transfer(reference=entry.reference, to=uuid.uuid4(), now=NOON)

        assert not quotas.settle(reference=entry.reference, amount_micros=1, estimated=False, end="succeeded", now=NOON)


@pytest.mark.django_db
class TestCorrect:
    def test_books_a_difference_after_an_outcome(self) -> None:
        entry = hold(make_user())
        quotas.release(reference=entry.reference, reason="lost in sending", end="failed", now=NOON)

        quotas.correct(reference=entry.reference, amount_micros=39_000, count=1, reason="found later", now=NOON)
        quotas.correct(reference=entry.reference, amount_micros=-9_000, count=0, reason="refund", now=NOON)

        assert counters() == {(0, 0, 1, 30_000)}

    def test_waits_for_the_outcome(self) -> None:
        entry = hold(make_user())

        with pytest.raises(NoOutcome):
            quotas.correct(reference=entry.reference, amount_micros=1, count=0, reason="early", now=NOON)
