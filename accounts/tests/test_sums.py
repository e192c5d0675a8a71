"""The daily sums say how what was asked for has ended, and what it came to."""

import uuid
from datetime import date, timedelta

import pytest

from accounts import quotas, recount_sums
from accounts.models import DailySpend, LedgerEntry, MonthlySpend, User
from accounts.quotas import NoOutcome
from accounts.tests.factories import NOON, hold, make_user

pytestmark = pytest.mark.django_db
Row = tuple[int, ...]


def rows() -> dict[str, Row]:
    """By end: (ended, charged, micros, estimated micros), those that say something."""
    found = DailySpend.objects.values_list("end", "ended", "count", "micros", "estimated_micros")
    return {end: tuple(figures) for end, *figures in found if any(figures)}


def settled(user: User, micros: int = 30_000, *, end: str = "succeeded", estimated: bool = False) -> uuid.UUID:
    reference = hold(user).reference
    quotas.settle(reference=reference, amount_micros=micros, estimated=estimated, end=end, now=NOON)
    return reference


class TestBook:
    def test_adds_up_by_end(self) -> None:
        user = make_user()
        settled(user)
        settled(user, 50_000, estimated=True)
        settled(user, 10_000, end="canceled")
        quotas.release(reference=hold(user).reference, reason="", end="aborted", now=NOON)
        hold(user)

        assert rows() == {
            "succeeded": (2, 2, 80_000, 50_000),
            "canceled": (1, 1, 10_000, 0),
            "aborted": (1, 0, 0, 0),
        }

    def test_tells_day_user_and_model_apart(self) -> None:
        user = make_user()
        tomorrow = NOON + timedelta(days=1)
        entries = [
            hold(user),
            hold(user, now=tomorrow),
            hold(user, model="bytedance/seedance-1-lite"),
            hold(make_user("rui")),
            hold(user, provider="sandbox"),
        ]

        for entry in entries:
            quotas.settle(reference=entry.reference, amount_micros=1, estimated=False, end="succeeded", now=tomorrow)

        assert list(DailySpend.objects.values_list("ended", "micros")) == [(1, 1)] * 5
        assert sorted(DailySpend.objects.values_list("day", flat=True)) == [date(2026, 7, 16)] * 4 + [date(2026, 7, 17)]

    def test_knows_nothing_of_what_was_passed_over(self) -> None:
        entry, second = hold(make_user()), uuid.uuid4()
        quotas.transfer(reference=entry.reference, to=second, now=NOON)
        assert rows() == {}

        quotas.settle(reference=second, amount_micros=30_000, estimated=False, end="succeeded", now=NOON)

        assert rows() == {"succeeded": (1, 1, 30_000, 0)}

    def test_keeps_a_correction_under_the_end_that_is_known(self) -> None:
        reference = settled(make_user(), end="lost")

        quotas.correct(reference=reference, amount_micros=-30_000, count=-1, reason="refund", now=NOON)

        assert rows() == {"lost": (1, 0, 0, 0)}

    def test_counts_what_was_found_after_it_was_passed_over_as_failed(self) -> None:
        entry = hold(make_user())
        quotas.transfer(reference=entry.reference, to=uuid.uuid4(), now=NOON)

        quotas.correct(reference=entry.reference, amount_micros=39_000, count=1, reason="Found later", now=NOON)

        assert rows() == {"failed": (0, 1, 39_000, 0)}


class TestMove:
    def test_takes_everything_that_was_booked_along(self) -> None:
        reference = settled(make_user(), estimated=True)
        quotas.correct(reference=reference, amount_micros=9_000, count=0, reason="", now=NOON)

        assert quotas.relabel(reference=reference, end="lost", reason="files gone", now=NOON)

        assert rows() == {"lost": (1, 1, 39_000, 30_000)}

    def test_happens_once_and_may_be_taken_back(self) -> None:
        reference = settled(make_user())

        moved = [
            quotas.relabel(reference=reference, end=end, reason="", now=NOON) for end in ("lost", "lost", "succeeded")
        ]

        assert moved == [True, False, True]
        assert rows() == {"succeeded": (1, 1, 30_000, 0)}

    def test_waits_for_an_end(self) -> None:
        entry = hold(make_user())

        with pytest.raises(NoOutcome):
            quotas.relabel(reference=entry.reference, end="lost", reason="", now=NOON)

    def test_is_nothing_for_what_was_passed_over(self) -> None:
        entry = hold(make_user())
        quotas.transfer(reference=entry.reference, to=uuid.uuid4(), now=NOON)

        with pytest.raises(NoOutcome):
            quotas.relabel(reference=entry.reference, end="lost", reason="", now=NOON)

        assert not DailySpend.objects.exists()

    def test_moves_no_money(self) -> None:
        reference = settled(make_user())

        quotas.relabel(reference=reference, end="lost", reason="", now=NOON)

        assert quotas.recompute(now=NOON) == []
        assert LedgerEntry.objects.filter(kind="correct").values_list("amount_micros", "count").get() == (0, 0)


class TestRecount:
    def test_sets_a_wrong_sum_right_and_says_so(self) -> None:
        user = make_user()
        settled(user)
        DailySpend.objects.update(micros=7)

        [sentence] = recount_sums.recount(now=NOON)

        assert f"2026-07-16 user:{user.pk} google/nano-banana succeeded said 1 ended, 1 charged ($0.000007)" in sentence
        assert rows() == {"succeeded": (1, 1, 30_000, 0)}
        assert recount_sums.recount(now=NOON) == []

    def test_makes_a_row_that_is_missing_and_empties_one_too_many(self) -> None:
        user = make_user()
        quotas.relabel(reference=settled(user), end="lost", reason="", now=NOON)
        DailySpend.objects.filter(end="lost").delete()
        DailySpend.objects.filter(end="succeeded").update(micros=1)

        assert len(recount_sums.recount(now=NOON)) == 2
        assert rows() == {"lost": (1, 1, 30_000, 0)}

    def test_leaves_older_days_alone_when_it_is_told_to(self) -> None:
        settled(make_user())
        DailySpend.objects.update(micros=7)

        assert recount_sums.recount(now=NOON, since=date(2026, 8, 1)) == []
        assert len(recount_sums.recount(now=NOON, since=date(2026, 7, 1))) == 1

    def test_sets_months_right_that_disagree_with_their_days(self) -> None:
        settled(make_user())
        MonthlySpend.objects.update(micros=7)

        [sentence] = recount_sums.recount(now=NOON)

        assert "the month from 2026-07-01" in sentence
        assert MonthlySpend.objects.values_list("ended", "count", "micros").get() == (1, 1, 30_000)
        assert recount_sums.recount(now=NOON) == []

    def test_makes_a_month_that_is_missing(self) -> None:
        settled(make_user())
        MonthlySpend.objects.all().delete()

        assert len(recount_sums.recount(now=NOON, since=date(2026, 7, 1))) == 1
        assert MonthlySpend.objects.get().micros == 30_000

    def test_belongs_to_recompute(self) -> None:
        settled(make_user())
        DailySpend.objects.all().delete()

        assert len(quotas.recompute(now=NOON)) == 1
