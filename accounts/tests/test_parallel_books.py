"""Everything that moves money at once: nobody waits for ever, and the books agree in the end."""

import contextlib
import random
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection

from accounts import quotas
from accounts.models import LedgerEntry, QuotaPeriod, User
from accounts.quotas import NoOutcome, QuotaExceeded
from accounts.tests.factories import NOON, hold, make_token, make_user
from accounts.tests.test_reserve import run_together

THREADS, ROUNDS = 8, 25
ENDS = ("succeeded", "lost", "failed", "canceled")


def move_something(chance: random.Random, users: list[User], tokens: list[uuid.UUID]) -> None:
    """One movement of anybody's money, whatever state it is in."""
    kind = chance.choice(("reserve", "reserve", "settle", "release", "transfer", "correct", "relabel", "relabel"))
    now = NOON + timedelta(hours=chance.randrange(48))
    if kind == "reserve":
        which = chance.randrange(len(users))
        hold(users[which], token_id=chance.choice((None, tokens[which])), now=now)
        return
    references = list(LedgerEntry.objects.filter(kind="reserve").values_list("reference", flat=True))
    if not references:
        return
    reference, end = chance.choice(references), chance.choice(ENDS)
    if kind == "settle":
        quotas.settle(reference=reference, amount_micros=30_000, estimated=False, end=end, now=now)
    elif kind == "release":
        quotas.release(reference=reference, reason="", end=end, now=now)
    elif kind == "transfer":
        quotas.transfer(reference=reference, to=uuid.uuid4(), now=now)
    elif kind == "correct":
        quotas.correct(reference=reference, amount_micros=chance.randrange(-9, 9), count=0, reason="", now=now)
    else:
        quotas.relabel(reference=reference, end=end, reason="", now=now)


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_leave_books_that_agree(self) -> None:
        users = [make_user(f"user{number}", daily_count_limit=60) for number in range(2)]
        tokens = [make_token(user).pk for user in users]
        failures: list[BaseException] = []
        wrong: list[str] = []

        def work(seed: int) -> None:
            chance = random.Random(seed)
            try:
                for _ in range(ROUNDS):
                    with contextlib.suppress(QuotaExceeded, NoOutcome):
                        move_something(chance, users, tokens)
                    if chance.random() < 0.1:
                        wrong.extend(quotas.recompute(now=NOON))
            except BaseException as error:
                failures.append(error)
            finally:
                connection.close()

        run_together([threading.Thread(target=work, args=[seed]) for seed in range(THREADS)])

        assert failures == []
        assert wrong == []
        assert quotas.recompute(now=NOON) == []
        assert LedgerEntry.objects.exclude(kind="reserve").exists()

    def test_that_relabel_one_reference_move_it_once(self) -> None:
        entry = hold(make_user())
        quotas.settle(reference=entry.reference, amount_micros=30_000, estimated=False, end="succeeded", now=NOON)
        start, failures = threading.Barrier(8), []

        def work(number: int) -> None:
            start.wait()
            try:
                for _ in range(5):
                    if number % 2:
                        quotas.relabel(reference=entry.reference, end=ENDS[number // 2], reason="", now=NOON)
                    else:
                        quotas.correct(reference=entry.reference, amount_micros=5, count=0, reason="", now=NOON)
            except BaseException as error:
                failures.append(error)
            finally:
                connection.close()

        run_together([threading.Thread(target=work, args=[number]) for number in range(8)])

        assert failures == []
        assert quotas.recompute(now=NOON) == []
        assert QuotaPeriod.objects.get(scope="site", period="day").settled_micros == 30_000 + 20 * 5

    def test_that_move_between_the_same_sums_in_opposite_directions_do_not_wait_for_each_other(self) -> None:
        user = make_user()
        entries = [hold(user), hold(user)]
        for entry in entries:
            quotas.settle(reference=entry.reference, amount_micros=30_000, estimated=False, end="succeeded", now=NOON)
        quotas.relabel(reference=entries[1].reference, end="lost", reason="", now=NOON)
        together, failures = threading.Barrier(2), []

        def work(which: int) -> None:
            try:
                for number in range(40):
                    together.wait(timeout=30)
                    end = ("lost", "succeeded")[(which + number) % 2]
                    quotas.relabel(reference=entries[which].reference, end=end, reason="", now=NOON)
            except BaseException as error:
                failures.append(error)
                together.abort()
            finally:
                connection.close()

        run_together([threading.Thread(target=work, args=[which]) for which in range(2)])

        assert failures == []
        assert quotas.recompute(now=NOON) == []
