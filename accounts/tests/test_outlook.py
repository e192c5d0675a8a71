"""The question which limit would refuse, held against what `reserve` then does."""

import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import quotas
from accounts.models import ApiToken, LedgerEntry, LimitIncrease, QuotaPeriod, User
from accounts.quotas import QuotaExceeded
from accounts.tests.factories import NOON, hold, make_user
from accounts.tokens import create_token

pytestmark = pytest.mark.django_db
NAMES = ["daily_count_limit", "monthly_count_limit", "daily_micros_limit", "monthly_micros_limit"]
SITE = ["SITE_DAILY_COUNT", "SITE_MONTHLY_COUNT", "SITE_DAILY_USD_MICROS", "SITE_MONTHLY_USD_MICROS"]


def told(error: QuotaExceeded | None) -> dict[str, Any] | None:
    return None if error is None else {**vars(error), "sentence": str(error)}


def reserved(user: User, amount: int, **fields: Any) -> QuotaExceeded | None:
    """What `reserve` raises."""
    try:
        hold(user, amount, **fields)
    except QuotaExceeded as error:
        return error
    return None


class TestOutlook:
    @pytest.mark.parametrize("seed", range(12))
    def test_says_what_reserve_will_say(self, seed: int, settings: Settings) -> None:
        chance = random.Random(seed)
        settings.PROVIDER = "replicate"
        settings.SITE_DAILY_COUNT = settings.SITE_MONTHLY_COUNT = None
        settings.SITE_DAILY_USD_MICROS = settings.SITE_MONTHLY_USD_MICROS = None
        user = make_user()
        row, _ = create_token(user=user, name="t", expires_at=None, now=NOON)
        asked: dict[str, Any] = {"provider": "replicate", "now": NOON}
        answers = set()

        for _ in range(60):
            change_something(chance, user=user, token=row, settings=settings)
            amount, token_id = chance.choice([0, 1, 7, 40]), chance.choice([None, row.pk])
            usage, said = quotas.outlook(user=user, amount_micros=amount, token_id=token_id, **asked)
            assert usage == quotas.usage(user=user, now=NOON)
            came = reserved(user, amount, token_id=token_id, **asked)
            answers.add(came.scope if came else "")
            assert told(said) == told(came)

        assert len(answers) > 1

    def test_writes_nothing_and_asks_little(self) -> None:
        user = make_user(daily_micros_limit=1)

        with CaptureQueriesContext(connection) as queries:
            _, refused = quotas.outlook(user=user, amount_micros=2, provider="replicate", now=NOON)

        assert refused and refused.scope == "user"
        assert [query["sql"].split()[0] for query in queries] == ["SELECT", "SELECT"]
        assert not QuotaPeriod.objects.exists()

    def test_knows_other_days_from_this_one(self) -> None:
        user = make_user(daily_count_limit=1)
        hold(user, now=NOON - timedelta(days=1))

        assert quotas.outlook(user=user, amount_micros=1, provider="replicate", now=NOON)[1] is None


def change_something(chance: random.Random, *, user: User, token: ApiToken, settings: Settings) -> None:
    """One limit of anybody's to another amount, or an increase for a while, or an end of what is held."""
    limit = chance.choice([None, None, 0, 3, 10, 50, 200])
    which = chance.randrange(5)
    if which == 0:
        setattr(settings, chance.choice(SITE), limit)
    elif which == 1:
        prefix = chance.choice(["", "own_"])
        User.objects.filter(pk=user.pk).update(**{prefix + chance.choice(NAMES): limit})
    elif which == 2:
        ApiToken.objects.filter(pk=token.pk).update(**{chance.choice(NAMES): limit})
    elif which == 3:
        LimitIncrease.objects.create(
            user=user,
            unit=chance.choice(["count", "usd"]),
            period=chance.choice(["day", "month"]),
            amount=chance.choice([1, 10]),
            expires_at=NOON + timedelta(hours=chance.choice([-1, 1])),
            created_at=NOON,
            reason="a test",
        )
    else:
        settle_one(chance)


def settle_one(chance: random.Random) -> None:
    """The oldest reservation that is open costs more or less than was held, or nothing."""
    ended = LedgerEntry.objects.exclude(kind="reserve").values("reference")
    held = LedgerEntry.objects.filter(kind="reserve").exclude(reference__in=ended).first()
    if held and chance.random() < 0.5:
        quotas.settle(
            reference=held.reference,
            amount_micros=chance.choice([0, 5, 60]),
            estimated=False,
            end="succeeded",
            now=NOON,
        )
    elif held:
        quotas.release(reference=held.reference, reason="a test", end="failed", now=NOON)
