"""Ledger and counters tell the same story, and where they do not the ledger is believed."""

import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts import quotas
from accounts.models import LedgerEntry, QuotaPeriod, User
from accounts.quotas import NoOutcome, QuotaExceeded
from accounts.tests.factories import NOON, hold, make_user

amounts = st.integers(0, 60_000)
steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release", "transfer", "correct"]),
        st.integers(0, 5),
        amounts,
        st.integers(0, 40),
    ),
    max_size=14,
)


class TestAgreement(TestCase):
    @budget(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(steps=steps)
    def test_holds_after_any_sequence_of_movements(self, steps: list[tuple[str, int, int, int]]) -> None:
        user = make_user(f"u{uuid.uuid4().hex[:12]}", daily_micros_limit=100_000, monthly_count_limit=6)
        references: list[uuid.UUID] = []

        for kind, which, amount, hours in steps:
            move(user, references, kind, which, amount, hours)

        assert quotas.recompute(now=NOON) == []
        assert not QuotaPeriod.objects.filter(settled_count=0, reserved_count__gt=6).exists()


def move(user: User, references: list[uuid.UUID], kind: str, which: int, amount: int, hours: int) -> None:
    """One movement; what a limit or the ledger's order forbids is left out."""
    now = NOON + timedelta(hours=hours)
    reference = references[which % len(references)] if references else None
    try:
        if kind == "reserve" or reference is None:
            references.append(hold(user, amount, now=now).reference)
        elif kind == "settle":
            quotas.settle(reference=reference, amount_micros=amount, estimated=False, now=now)
        elif kind == "release":
            quotas.release(reference=reference, reason="", now=now)
        elif kind == "transfer":
            to = uuid.uuid4()
            references.extend([to] if quotas.transfer(reference=reference, to=to, now=now) else [])
        else:
            quotas.correct(reference=reference, amount_micros=-amount, count=0, reason="", now=now)
    except (QuotaExceeded, NoOutcome):
        pass


@pytest.mark.django_db
class TestRecompute:
    def test_sets_wrong_counters_right_and_says_so(self) -> None:
        user = make_user()
        quotas.settle(reference=hold(user).reference, amount_micros=30_000, estimated=False, now=NOON)
        hold(user)
        day = QuotaPeriod.objects.filter(scope="site", period="day")
        day.update(reserved_count=7, settled_micros=F("settled_micros") + 1)

        wrong = quotas.recompute(now=NOON)

        assert len(wrong) == 1
        assert "site day 2026-07-16" in wrong[0]
        row = day.get()
        assert (row.reserved_count, row.reserved_micros) == (1, 39_000)
        assert (row.settled_count, row.settled_micros) == (1, 30_000)

    def test_finds_nothing_the_second_time(self) -> None:
        hold(make_user())
        QuotaPeriod.objects.update(reserved_count=0)

        assert len(quotas.recompute(now=NOON)) == 4
        assert quotas.recompute(now=NOON) == []

    def test_never_touches_the_ledger(self) -> None:
        hold(make_user())
        QuotaPeriod.objects.update(reserved_micros=1)
        before = list(LedgerEntry.objects.values())

        quotas.recompute(now=NOON)

        assert list(LedgerEntry.objects.values()) == before
