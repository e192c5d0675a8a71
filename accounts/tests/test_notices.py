"""A share of a limit is told once a period, to whom it concerns."""

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import Any

import pytest
from django.core import mail as outgoing
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import dispatch, notice_mail, notices, quotas
from accounts.mail import MailUnsent
from accounts.models import BudgetNotice, QuotaPeriod, User
from accounts.tests.factories import NOON, hold, make_token, make_user
from accounts.tests.test_limits import add
from accounts.tests.test_reserve import run_together

CENTS = 10_000


@pytest.fixture(autouse=True)
def real_money(settings: Settings) -> None:
    settings.PROVIDER = "replicate"
    settings.SITE_DAILY_USD_MICROS = settings.SITE_MONTHLY_USD_MICROS = None


def make_spender(username: str = "ines", cents: int | None = 100, **fields: Any) -> User:
    """A user whose one limit is money a day."""
    nothing = dict.fromkeys(["daily_count_limit", "monthly_count_limit", "monthly_micros_limit"])
    return make_user(username, **nothing, daily_micros_limit=cents and cents * CENTS, **fields)


def spend(user: User, cents: int, *, now: datetime = NOON, **fields: Any) -> None:
    entry = hold(user, cents * CENTS, now=now, **fields)
    quotas.settle(reference=entry.reference, amount_micros=cents * CENTS, estimated=False, end="succeeded", now=now)


def look(now: datetime = NOON) -> list[str]:
    """One round: the subjects of what it mailed."""
    before = len(outgoing.outbox)
    notices.find(now=now)
    notice_mail.send(now=now)
    return [str(message.subject) for message in outgoing.outbox[before:]]


def entered() -> list[int]:
    return sorted(BudgetNotice.objects.values_list("threshold", flat=True))


@pytest.mark.django_db
class TestAShareOfALimit:
    def test_is_told_once_in_its_period(self) -> None:
        user, told = make_spender(), []

        for cents in (49, 1, 0, 29, 1, 19, 1):
            spend(user, cents)
            told.append(look())

        assert told == [
            [],
            ["50 % of your limit of $1.00 a day is used"],
            [],
            [],
            ["80 % of your limit of $1.00 a day is used"],
            [],
            ["Your limit of $1.00 a day is used up"],
        ]

    def test_goes_to_the_user_with_what_can_be_done(self) -> None:
        spend(make_spender(), 80)
        look()

        [message] = outgoing.outbox
        assert message.to == ["ines@example.org"]
        assert message.body.startswith("$0.80 of $1.00 a day are used or held.")
        assert "It resets on 17 July at 00:00 (UTC)." in message.body
        assert "An administrator can raise it" in message.body
        assert "/usage/" in message.body

    def test_is_of_what_is_held_too(self) -> None:
        hold(make_spender(), 50 * CENTS)

        assert len(look()) == 1

    def test_that_is_passed_at_once_tells_of_the_highest_only(self) -> None:
        user = make_spender()
        spend(user, 100)

        assert look() == ["Your limit of $1.00 a day is used up"]
        assert entered() == [50, 80, 100]
        assert look() == []

    def test_is_told_again_in_the_next_period(self) -> None:
        user, tomorrow = make_spender(), NOON + timedelta(days=1)
        spend(user, 50)
        assert len(look()) == 1

        assert look(tomorrow) == []
        spend(user, 50, now=tomorrow)
        assert len(look(tomorrow)) == 1

    def test_of_a_limit_that_is_raised_is_not_told_twice(self) -> None:
        user = make_spender()
        spend(user, 80)
        look()

        increase = add(user, 100 * CENTS, unit="usd", until=NOON + timedelta(hours=1))
        assert look() == []
        spend(user, 80)
        assert look() == []

        increase.delete()
        assert look() == ["Your limit of $1.00 a day is used up"]

    def test_of_counts_and_months_is_told_too(self) -> None:
        user = make_spender(cents=None)
        User.objects.filter(pk=user.pk).update(monthly_count_limit=2)
        spend(user, 0)

        assert look() == ["50 % of your limit of 2 generations a month is used"]
        assert "1 generations" not in outgoing.outbox[0].body

    @pytest.mark.parametrize("limit", [0, None])
    def test_of_no_limit_is_nothing(self, limit: int | None) -> None:
        user = make_spender(cents=limit)
        QuotaPeriod.objects.create(scope=f"user:{user.pk}", period="day", starts_on=NOON.date(), settled_micros=5)
        QuotaPeriod.objects.create(scope=f"user:{user.pk}", period="month", starts_on=date(2026, 7, 1))

        assert look() == []

    def test_of_a_token_goes_to_its_owner(self) -> None:
        user = make_spender(cents=None)
        token = make_token(user, name="nightly", daily_micros_limit=100 * CENTS)
        spend(user, 80, token_id=token.pk)

        assert look() == ["80 % of your token's limit of $1.00 a day is used"]
        assert outgoing.outbox[0].to == [user.email]
        assert "nightly" in outgoing.outbox[0].body

    def test_of_the_site_goes_to_administrators(self, settings: Settings) -> None:
        settings.SITE_DAILY_USD_MICROS = 100 * CENTS
        User.objects.create_superuser("root", "root@example.com")
        spend(make_spender(cents=None), 100)

        assert look() == ["The site's limit of $1.00 a day is used up"]
        assert outgoing.outbox[0].to == ["root@example.com"]

    def test_of_simulated_spend_says_so(self, settings: Settings) -> None:
        settings.PROVIDER = "sandbox"
        spend(make_spender(), 50, provider="sandbox")

        assert len(look()) == 1
        assert "All of it is simulated." in outgoing.outbox[0].body

    def test_of_the_other_provider_s_books_is_left_alone(self) -> None:
        user = make_spender()
        spend(user, 100, provider="sandbox")
        hold(user, 0)

        assert look() == []

    def test_of_an_account_without_an_address_is_entered_and_told_nobody(self) -> None:
        spend(make_spender(email=""), 50)

        assert look() == []
        assert BudgetNotice.objects.get().mailed_at == NOON

    def test_that_is_a_day_old_is_no_news(self) -> None:
        spend(make_spender(), 50)
        notices.find(now=NOON)

        assert notice_mail.send(now=NOON + timedelta(days=1)) == 0

    def test_is_found_among_many_with_few_statements(self, django_assert_max_num_queries: Any) -> None:
        for number in range(30):
            spend(make_spender(f"user{number}"), 50)

        with django_assert_max_num_queries(8):
            notices.find(now=NOON)

        assert BudgetNotice.objects.count() == 30


@pytest.mark.django_db
class TestTheAdmin:
    def test_lists_what_was_told(self, client: Client) -> None:
        spend(make_spender(), 80)
        look()
        client.force_login(User.objects.create_superuser("root", "root@example.com"))

        page = client.get(reverse("admin:accounts_budgetnotice_changelist")).content.decode()

        assert "$0.80 of $1.00 a day are used or held." in page
        assert "80 %" in page


@pytest.mark.django_db
class TestAProjection:
    @pytest.fixture(autouse=True)
    def budget(self, settings: Settings) -> None:
        settings.SITE_MONTHLY_USD_MICROS = 100 * 100 * CENTS
        User.objects.create_superuser("root", "root@example.com")

    def test_above_the_budget_is_told_once_a_month(self) -> None:
        user = make_spender(cents=None)
        for day in range(1, 8):
            spend(user, 500, now=datetime(2026, 7, day, 12, tzinfo=NOON.tzinfo))
        now = datetime(2026, 7, 7, 18, tzinfo=NOON.tzinfo)

        [subject] = look(now)

        assert subject.startswith("This month may cost $1")
        assert subject.endswith(", more than its budget")
        assert outgoing.outbox[0].to == ["root@example.com"]
        assert look(now + timedelta(hours=1)) == []

    def test_within_the_budget_is_nothing(self) -> None:
        user = make_spender(cents=None)
        for day in range(1, 8):
            spend(user, 200, now=datetime(2026, 7, day, 12, tzinfo=NOON.tzinfo))

        assert look(datetime(2026, 7, 7, 18, tzinfo=NOON.tzinfo)) == []

    def test_of_the_first_hour_is_believed_by_nobody(self) -> None:
        now = datetime(2026, 7, 1, 0, 30, tzinfo=NOON.tzinfo)
        spend(make_spender(cents=None), 500, now=now)

        assert look(now) == []


class Failing(BaseEmailBackend):
    """A mail server that answers with `error`, or is reached when there is none."""

    error: Exception | None = None
    sent: list[EmailMessage]

    def send_messages(self, email_messages: Any) -> int:
        if self.error is not None:
            raise self.error
        outgoing.outbox.extend(email_messages)
        return len(email_messages)


@pytest.fixture
def server(settings: Settings) -> Iterator[type[Failing]]:
    settings.EMAIL_BACKEND = f"{__name__}.Failing"
    yield Failing
    Failing.error = None


@pytest.mark.django_db
class TestAMailThatCouldNotBeSent:
    @pytest.mark.parametrize(
        "error",
        [
            ConnectionRefusedError(),
            TimeoutError(),
            SMTPDataError(451, b"later"),
            SMTPRecipientsRefused({"ines@example.org": (450, b"later")}),
        ],
    )
    def test_is_sent_when_the_server_is_back(self, server: type[Failing], error: Exception) -> None:
        spend(make_spender(), 50)
        server.error = error
        with pytest.raises(MailUnsent):
            look()

        server.error = None

        assert len(look()) == 1
        assert look() == []

    @pytest.mark.parametrize(
        "error", [SMTPDataError(554, b"spam"), SMTPRecipientsRefused({"ines@example.org": (550, b"unknown")})]
    )
    def test_holds_nobody_up_when_it_is_refused_for_good(self, server: type[Failing], error: Exception) -> None:
        spend(make_spender(), 50)
        server.error = error

        assert look() == []
        assert BudgetNotice.objects.get().mailed_at == NOON


@pytest.mark.django_db
class TestAProcessThatDiedWhileItSentAMail:
    """Dead is a process whose turn is neither put back nor entered."""

    @pytest.fixture(autouse=True)
    def dead(self) -> None:
        spend(make_spender(), 50)
        notices.find(now=NOON)
        assert dispatch.by_mail(BudgetNotice.objects.get()).take()

    def test_leaves_it_to_nobody_as_long_as_it_might_live(self) -> None:
        assert look() == []
        assert BudgetNotice.objects.get().mailed_at is None

    def test_leaves_it_to_the_next_after_that(self) -> None:
        BudgetNotice.objects.update(mailed_taken_until=Now() - timedelta(seconds=1))

        assert look() == ["50 % of your limit of $1.00 a day is used"]
        assert look() == []

    def test_is_held_up_by_nothing_when_it_lives_after_all(self) -> None:
        late = dispatch.by_mail(BudgetNotice.objects.get())
        BudgetNotice.objects.update(mailed_taken_until=Now() - timedelta(seconds=1))
        look()

        late.put_back()

        assert look() == []


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_make_one_mail(self, data_dir: Path) -> None:
        for number in range(5):
            spend(make_spender(f"user{number}"), 85)
        start = threading.Barrier(4)

        def work() -> None:
            start.wait()
            try:
                notices.find(now=NOON)
                notice_mail.send(now=NOON)
            finally:
                connection.close()

        run_together([threading.Thread(target=work) for _ in range(4)])

        assert sorted(message.to[0] for message in outgoing.outbox) == [f"user{n}@example.org" for n in range(5)]
        assert entered() == [50] * 5 + [80] * 5
