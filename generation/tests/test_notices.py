"""News goes out by the signed webhook and by mail, and again where it did not arrive."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail as outgoing
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from accounts import alerts, notices, quotas
from accounts.models import Alert, BudgetNotice, User
from accounts.tests.factories import hold, make_user
from generation.tests.processes import worker
from generation.tests.running_studio import wait_for
from generation.tests.wire import Behaviour, Request, Wire, pours, says, silent
from generation.work import notices as news
from generation.work.chores import chores
from palette.tests.ports import free_port

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OK = says(204)


@pytest.fixture(autouse=True)
def real_money(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDER = "replicate"
    settings.SITE_DAILY_USD_MICROS, settings.SITE_MONTHLY_USD_MICROS = 1_000_000, None
    settings.ALERT_WEBHOOK_SECRET = SECRET
    for way, alert in (("MAIL", "mail_failed"), ("WEBHOOK", "alert_webhook_failed")):
        monkeypatch.setattr(news, way, news.Way(alert))


def spend(user: User, micros: int = 800_000, *, now: datetime) -> None:
    entry = hold(user, micros, now=now)
    quotas.settle(reference=entry.reference, amount_micros=micros, estimated=False, end="succeeded", now=now)


def spent(now: datetime, micros: int = 800_000) -> None:
    """A day on which the site's budget has been used so far."""
    limits: dict[str, Any] = dict.fromkeys(
        ["daily_count_limit", "monthly_count_limit", "daily_micros_limit", "monthly_micros_limit"]
    )
    spend(make_user(**limits), micros, now=now)
    notices.find(now=now)


def received(settings: Settings, *behaviours: Behaviour, now: datetime) -> list[Request]:
    """What one round posts to a receiver that behaves so."""
    with Wire(list(behaviours)) as wire:
        settings.ALERT_WEBHOOK_URL = f"{wire.url}/hooks/studio"
        news.tell(now=now)
    return wire.requests


def verified(request: Request) -> Any:
    return Webhook(SECRET).verify(request.body, request.headers)


def verified_later(request: Request) -> Any:
    """The body of what was signed at another time than now."""
    at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), tz=UTC)
    assert request.headers["webhook-signature"] == Webhook(SECRET).sign(
        request.headers["webhook-id"], at, request.body.decode()
    )
    return json.loads(request.body)


def about_the_budget(requests: list[Request]) -> list[Request]:
    """Without the alert that the webhook itself has failed."""
    return [request for request in requests if verified_later(request)["type"] != "alert"]


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.mark.django_db
class TestTheWebhook:
    def test_tells_of_a_threshold(self, settings: Settings, now: datetime) -> None:
        spent(now)

        [request] = received(settings, OK, now=now)

        body = verified(request)
        assert (request.method, request.path) == ("POST", "/hooks/studio")
        assert request.headers["content-type"] == "application/json"
        assert body["type"] == "budget.threshold"
        assert datetime.fromisoformat(body["timestamp"]) == now
        assert body["data"] == {
            "scope": "site",
            "period": "day",
            "startsOn": now.date().isoformat(),
            "unit": "usd",
            "limit": "1.00",
            "used": "0.80",
            "threshold": 80,
            "detail": "$0.80 of $1.00 a day are used or held.",
        }

    def test_is_refused_when_it_was_changed_on_the_way(self, settings: Settings, now: datetime) -> None:
        spent(now)

        [request] = received(settings, OK, now=now)

        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(request.body.replace(b"0.80", b"0.10"), request.headers)

    def test_tells_of_a_projection(self, settings: Settings, now: datetime) -> None:
        settings.SITE_DAILY_USD_MICROS, settings.SITE_MONTHLY_USD_MICROS = None, 5_000_000
        early = now.replace(day=10, hour=12)
        spent(early, micros=2_000_000)

        [body] = [verified_later(request) for request in received(settings, OK, now=early)]

        assert body["type"] == "budget.projection"
        assert float(body["data"]["projected"]) > float(body["data"]["limit"]) == 5

    def test_tells_of_alerts_again_each_hour_under_another_id(self, settings: Settings, now: datetime) -> None:
        ids = []
        for minutes in (0, 1, 61):
            moment = now + timedelta(minutes=minutes)
            alerts.note("disk_full", "No room on host a.", now=moment)
            ids += [request.headers["webhook-id"] for request in received(settings, OK, now=moment)]

        assert len(set(ids)) == len(ids) == 2

    def test_names_the_alert(self, settings: Settings, now: datetime) -> None:
        alerts.note("disk_full", "No room on host a.", now=now)

        [request] = received(settings, OK, now=now)

        body = verified(request)
        assert (body["type"], body["data"]["name"], body["data"]["detail"]) == (
            "alert",
            "disk_full",
            "No room on host a.",
        )

    def test_is_posted_once(self, settings: Settings, now: datetime) -> None:
        spent(now)

        assert len(received(settings, OK, now=now)) == 1
        assert received(settings, OK, now=now + timedelta(minutes=1)) == []

    def test_is_not_sent_where_there_is_none(self, settings: Settings, now: datetime) -> None:
        spent(now)
        settings.ALERT_WEBHOOK_URL = ""

        news.tell(now=now)

        assert BudgetNotice.objects.filter(posted_at=None).count() == 1

    def test_carries_no_address_and_no_name(self, settings: Settings, now: datetime) -> None:
        settings.SITE_DAILY_USD_MICROS = None
        user = make_user("zebracanary", daily_micros_limit=1_000_000)
        spend(user, now=now)
        notices.find(now=now)

        [request] = received(settings, OK, now=now)

        assert verified(request)["data"]["scope"] == f"user:{user.pk}"
        assert b"zebracanary" not in request.body


@pytest.mark.django_db
class TestAReceiverThatDoesNotTakeIt:
    @pytest.mark.parametrize("answer", [says(500), says(429), says(404), says(302, location="http://127.0.0.1:1/")])
    def test_gets_it_again_with_the_same_id(self, settings: Settings, now: datetime, answer: Behaviour) -> None:
        spent(now)

        first = received(settings, answer, now=now)
        second = received(settings, OK, now=now + timedelta(minutes=1))

        [before], [after] = about_the_budget(first), about_the_budget(second)
        assert before.headers["webhook-id"] == after.headers["webhook-id"]
        assert before.headers["webhook-timestamp"] != after.headers["webhook-timestamp"]
        assert BudgetNotice.objects.filter(posted_at=None).count() == 0

    def test_is_left_alone_twice_as_long_each_time(self, settings: Settings, now: datetime) -> None:
        spent(now)
        asked = [len(received(settings, says(500), now=now + timedelta(seconds=s))) for s in range(0, 130, 5)]

        assert [5 * number for number, count in enumerate(asked) if count] == [0, 15, 45, 105]

    def test_that_is_slow_holds_nothing_up(
        self, settings: Settings, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(news, "POST_SECONDS", 0.3)
        spent(now)
        for number in range(5):
            alerts.note(f"trouble_{number}", "Something.", now=now)
        begun = time.monotonic()

        requests = received(settings, silent, now=now)

        assert len(requests) == 1
        assert time.monotonic() - begun < 15

    def test_that_answers_without_end_has_taken_it(self, settings: Settings, now: datetime) -> None:
        spent(now)

        def endless() -> Iterator[bytes]:
            while True:
                yield b"x" * 65536

        received(settings, pours(endless()), now=now)

        assert BudgetNotice.objects.filter(posted_at=None).count() == 0

    def test_of_one_message_gets_the_others(self, settings: Settings, now: datetime) -> None:
        alerts.note("disk_full", "No room.", now=now)
        spent(now)

        assert len(received(settings, says(400), OK, now=now)) == 2
        assert Alert.objects.get(name="disk_full").posted_at is None
        assert BudgetNotice.objects.filter(posted_at=None).count() == 0

    def test_is_an_alert_that_is_mailed_and_ends(self, settings: Settings, now: datetime) -> None:
        User.objects.create_superuser("root", "root@example.com")
        spent(now)
        received(settings, says(500), now=now)
        later = now + timedelta(minutes=1)

        received(settings, OK, now=later)

        assert "alert_webhook_failed: The address of ALERT_WEBHOOK_URL answered 500" in outgoing.outbox[-1].body
        assert Alert.objects.get(name="alert_webhook_failed").over_at == later

    def test_gets_no_news_of_the_day_before(self, settings: Settings, now: datetime) -> None:
        spent(now)

        assert received(settings, OK, now=now + timedelta(days=1)) == []


@pytest.mark.django_db
class TestAMailServerThatIsAway:
    def test_is_told_of_by_the_webhook_and_gets_the_mail_later(self, settings: Settings, now: datetime) -> None:
        User.objects.create_superuser("root", "root@example.com")
        spent(now)
        working = settings.EMAIL_BACKEND
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()

        requests = received(settings, OK, now=now)
        settings.EMAIL_BACKEND = working
        news.tell(now=now + timedelta(minutes=1))

        names = {verified(request)["data"].get("name") for request in requests}
        assert "mail_failed" in names
        assert [message.subject for message in outgoing.outbox] == [
            "Directors Palette needs you",
            "80 % of the site's limit of $1.00 a day is used",
        ]
        assert Alert.objects.get(name="mail_failed").over_at


@pytest.mark.django_db
class TestChores:
    def test_look_at_the_limits_once_a_minute_and_tell(self, settings: Settings, sandbox: object) -> None:
        settings.PROVIDER = "sandbox"
        user = make_user(daily_count_limit=2, daily_micros_limit=None, monthly_micros_limit=None)
        hold(user, provider="sandbox", now=timezone.now())

        chores()
        hold(user, provider="sandbox", now=timezone.now())
        chores()

        assert [message.subject for message in outgoing.outbox] == ["50 % of your limit of 2 generations a day is used"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestTwoWorkerProcesses:
    def test_tell_once(self, settings: Settings, sandbox: object, data_dir: Path) -> None:
        settings.WEBHOOK_ORIGIN = ""
        hold(make_user(daily_count_limit=2), provider="sandbox", now=timezone.now())
        with Wire([OK]) as wire:
            hook = {"ALERT_WEBHOOK_URL": f"{wire.url}/hook", "ALERT_WEBHOOK_SECRET": SECRET}
            with worker(**hook), worker(**hook):
                wait_for(lambda: bool(wire.requests and BudgetNotice.objects.exclude(mailed_at=None)), seconds=60)
                time.sleep(3)

        assert [verified(request)["data"]["threshold"] for request in wire.requests] == [50]
        [message] = (data_dir / "mail").iterdir()
        assert "50 % of your limit of 2 generations a day is used" in message.read_text()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestAWorkerThatIsKilledWhileItTells:
    @pytest.fixture(autouse=True)
    def reached(self, settings: Settings, sandbox: object) -> None:
        settings.PROVIDER, settings.WEBHOOK_ORIGIN = "sandbox", ""
        hold(make_user(daily_count_limit=2), provider="sandbox", now=timezone.now())

    def test_by_the_webhook_leaves_it_to_the_next_under_the_same_id(self, settings: Settings) -> None:
        with Wire([silent, OK]) as wire:
            hook = f"{wire.url}/hook"
            with worker(ALERT_WEBHOOK_URL=hook, ALERT_WEBHOOK_SECRET=SECRET) as process:
                wait_for(lambda: bool(wire.requests), seconds=60)
                process.kill()
            settings.ALERT_WEBHOOK_URL = hook
            news.tell(now=timezone.now())
            assert len(wire.requests) == 1
            BudgetNotice.objects.update(posted_taken_until=Now() - timedelta(seconds=1))

            news.tell(now=timezone.now())
            news.tell(now=timezone.now())

        first, second = wire.requests
        assert verified(first) == verified(second)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]

    def test_by_mail_leaves_it_to_the_next(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            with worker(EMAIL_URL=f"smtp://127.0.0.1:{server.getsockname()[1]}") as process:
                server.settimeout(60)
                connection, _ = server.accept()
                process.kill()
            connection.close()
        news.tell(now=timezone.now())
        assert outgoing.outbox == []
        BudgetNotice.objects.update(mailed_taken_until=Now() - timedelta(seconds=1))

        news.tell(now=timezone.now())
        news.tell(now=timezone.now())

        assert [message.subject for message in outgoing.outbox] == ["50 % of your limit of 2 generations a day is used"]
