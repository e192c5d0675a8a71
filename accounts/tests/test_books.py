"""Ledger, counters, daily sums and limits tell one story after any sequence of movements."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts import quotas
from accounts.models import ApiToken, LimitIncrease, User
from accounts.quotas import NoOutcome, QuotaExceeded
from accounts.tests.bookkeeping import COLUMNS, Books, Reservation
from accounts.tests.factories import make_token, make_user

# A day before a month ends, so that both periods change within a few steps.
BEGIN = datetime(2026, 7, 30, 18, tzinfo=UTC)
Step = tuple[str, tuple[int, int, int]]
BUDGETS = ("SITE_DAILY_COUNT", "SITE_DAILY_USD_MICROS", "SITE_MONTHLY_COUNT", "SITE_MONTHLY_USD_MICROS")
ENDS = ("succeeded", "lost", "failed", "canceled", "aborted")
MODELS = ("google/nano-banana", "bytedance/seedance-1-lite")
# Tight enough to bind after a few reservations.
LIMITS = {"count": (None, 0, 1, 2, 2, 3, 3, 4), "usd": (None, 0, 40_000, 40_000, 80_000, 80_000, 120_000, 160_000)}
KINDS = ("settle", "release", "cancel", "retry", "correct", "relabel")
RULES = ("limit", "own limit", "token limit", "site limit", "increase", "price", "hours")
ways = st.tuples(st.integers(0, 7), st.integers(0, 60_000), st.integers(0, 7))
rules = st.lists(st.tuples(st.sampled_from(RULES), ways), min_size=1, max_size=5)
steps = st.lists(st.tuples(st.sampled_from(("reserve",) * 5 + KINDS + RULES), ways), max_size=18)


class Story:
    """The product's own functions and the second books, taken through the same steps."""

    def __init__(self) -> None:
        self.now, self.micros = BEGIN, 39_000
        self.books = Books()
        self.users = [make_user(f"u{uuid.uuid4().hex[:12]}") for _ in range(2)]
        self.tokens = [make_token(user) for user in self.users]

    def step(self, kind: str, which: int, amount: int, other: int) -> None:
        held = self.books.reservations[which % len(self.books.reservations)] if self.books.reservations else None
        if kind in ("reserve", *RULES):
            getattr(self, kind.replace(" ", "_"))(which, amount, other)
        elif held is None:
            self.reserve(which, amount, other)
        else:
            getattr(self, kind)(held, amount, other)

    def reserve(self, which: int, amount: int, other: int) -> None:
        user = self.users[which % 2]
        token = self.tokens[which % 2] if which & 2 else None
        admitted = self.books.admits(user, token, self.micros, self.now)
        reference, model = uuid.uuid4(), MODELS[other % 2]
        asked: dict[str, Any] = {
            "user": user,
            "amount_micros": self.micros,
            "provider": "replicate",
            "now": self.now,
            "token_id": token.pk if token else None,
        }
        _, refusal = quotas.outlook(**asked)
        assert (refusal is None) is admitted
        try:
            quotas.reserve(reference=reference, model=model, **asked)
        except QuotaExceeded:
            assert not admitted
        else:
            assert admitted
            self.books.reserve(reference, user, token, model, self.micros, self.now)

    def settle(self, held: Reservation, amount: int, other: int) -> None:
        end, estimated = ENDS[other % 3], other > 5
        moved = quotas.settle(
            reference=held.reference, amount_micros=amount, estimated=estimated, end=end, now=self.now
        )
        assert moved is held.open
        if moved:
            self.books.settle(held, amount, estimated=estimated, end=end)

    def release(self, held: Reservation, amount: int, other: int, end: str = "failed") -> None:
        moved = quotas.release(reference=held.reference, reason="", end=end, now=self.now)
        assert moved is held.open
        if moved:
            self.books.release(held, end=end)

    def cancel(self, held: Reservation, amount: int, other: int) -> None:
        self.release(held, amount, other, end="canceled")

    def retry(self, held: Reservation, amount: int, other: int) -> None:
        to = uuid.uuid4()
        moved = quotas.transfer(reference=held.reference, to=to, now=self.now)
        assert moved is held.open
        if moved:
            self.books.transfer(held, to)

    def correct(self, held: Reservation, amount: int, other: int) -> None:
        micros, count = amount if other % 2 else -amount, other % 3 - 1
        try:
            quotas.correct(reference=held.reference, amount_micros=micros, count=count, reason="", now=self.now)
        except NoOutcome:
            assert held.open
        else:
            assert not held.open
            self.books.correct(held, micros, count)

    def relabel(self, held: Reservation, amount: int, other: int) -> None:
        end = ENDS[other % len(ENDS)]
        try:
            moved = quotas.relabel(reference=held.reference, end=end, reason="", now=self.now)
        except NoOutcome:
            assert not held.end
        else:
            assert moved is (held.end != end)
            self.books.relabel(held, end)

    def price(self, which: int, amount: int, other: int) -> None:
        self.micros = amount

    def hours(self, which: int, amount: int, other: int) -> None:
        self.now += timedelta(hours=1 + 5 * other)

    def limit(self, which: int, amount: int, other: int) -> None:
        column = list(COLUMNS.values())[which % 4]
        User.objects.filter(pk=self.users[other % 2].pk).update(**{column: LIMITS[unit_of(which)][other]})

    def own_limit(self, which: int, amount: int, other: int) -> None:
        column = f"own_{list(COLUMNS.values())[which % 4]}"
        User.objects.filter(pk=self.users[other % 2].pk).update(**{column: LIMITS[unit_of(which)][other]})

    def token_limit(self, which: int, amount: int, other: int) -> None:
        column = list(COLUMNS.values())[which % 4]
        ApiToken.objects.filter(pk=self.tokens[other % 2].pk).update(**{column: LIMITS[unit_of(which)][other]})

    def site_limit(self, which: int, amount: int, other: int) -> None:
        name = BUDGETS[which % 4]
        setattr(settings, name, LIMITS[unit_of(which)][other])

    def increase(self, which: int, amount: int, other: int) -> None:
        period, unit = list(COLUMNS)[which % 4]
        LimitIncrease.objects.create(
            user=self.users[other % 2],
            period=period,
            unit=unit,
            amount=1 if unit == "count" else 1 + amount,
            expires_at=self.now + timedelta(hours=other),
            reason="",
            created_at=self.now,
        )


def unit_of(which: int) -> str:
    """Of the limit that `which` names."""
    return list(COLUMNS)[which % 4][1]


class TestAnySequence(TestCase):
    @given(rules=rules, steps=steps)
    def test_leaves_books_that_agree(self, rules: list[Step], steps: list[Step]) -> None:
        with override_settings(**dict.fromkeys(BUDGETS)):
            story = Story()
            for kind, way in [*rules, *steps]:
                story.step(kind, *way)
                story.books.agree()
            assert quotas.recompute(now=story.now) == []
