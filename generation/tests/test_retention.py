"""What is pruned, what is not, and that it goes in batches."""

from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings as configured
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import BudgetNotice, CacheRow, LedgerEntry
from generation.models import Attempt, Prediction, PredictionEvent, WebhookDelivery
from generation.tests.making import make_prediction, make_user
from generation.work import retention

pytestmark = pytest.mark.django_db
NOW = timezone.now()
DAY = timedelta(days=1)


def prune(name: str, *, now: datetime = NOW) -> int:
    (kind,) = (kind for kind in retention.KINDS if kind.name == name)
    return retention.prune_kind(kind, now=now)


def deliver(name: str, *, days: float, due_at: datetime | None = None) -> None:
    WebhookDelivery.objects.create(webhook_id=name, received_at=NOW - days * DAY, body=b"{}", due_at=due_at)


class TestDeliveries:
    def test_go_when_their_time_is_over_and_they_were_applied(self, settings: Settings) -> None:
        settings.KEEP_DELIVERIES_DAYS = 2
        deliver("old", days=2.1)
        deliver("unapplied", days=2.1, due_at=NOW)
        deliver("new", days=1.9)

        assert prune("deliveries") == 1
        assert set(WebhookDelivery.objects.values_list("webhook_id", flat=True)) == {"unapplied", "new"}

    def test_go_in_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "BATCH", 3)
        monkeypatch.setattr(retention, "MOST_BATCHES", 2)
        for number in range(7):
            deliver(str(number), days=3 + number)

        with CaptureQueriesContext(connection) as asked:
            assert prune("deliveries") == 6

        assert sum(query["sql"].startswith("DELETE") for query in asked) == 2
        assert WebhookDelivery.objects.get().webhook_id == "0"  # the oldest went first
        assert prune("deliveries") == 1


class TestEvents:
    def test_go_and_leave_prediction_attempt_and_money(self, settings: Settings) -> None:
        settings.KEEP_EVENTS_DAYS = 30
        prediction = make_prediction(now=NOW - 31 * DAY)
        make_prediction(user=prediction.user, now=NOW - 29 * DAY)

        assert prune("events") == 1

        assert not prediction.events.exists()
        assert PredictionEvent.objects.count() == 1
        assert Prediction.objects.count() == Attempt.objects.count() == LedgerEntry.objects.count() == 2


class TestKeys:
    def test_are_forgotten_when_the_run_has_ended(self, settings: Settings) -> None:
        settings.KEEP_KEYS_DAYS = 7
        user = make_user()
        old = make_prediction(user=user, now=NOW - 8 * DAY, key="a")
        running = make_prediction(user=user, now=NOW - 8 * DAY, key="b")
        new = make_prediction(user=user, now=NOW - 6 * DAY, key="c")
        Prediction.objects.filter(pk__in=[old.pk, new.pk]).update(status="failed", due_at=None)

        assert prune("idempotency keys") == 1

        keys = dict(Prediction.objects.values_list("pk", "idempotency_key"))
        assert keys == {old.pk: None, running.pk: "b", new.pk: "c"}
        assert make_prediction(user=user, key="a").pk != old.pk


class TestOtherKinds:
    def test_notices_of_periods_long_over_go(self) -> None:
        for days in (401, 399):
            BudgetNotice.objects.create(
                scope="site",
                period="day",
                starts_on=(NOW - days * DAY).date(),
                unit="usd",
                threshold=80,
                detail="",
                created_at=NOW - days * DAY,
            )

        assert prune("notices") == 1

    def test_sessions_go_with_what_is_listed_of_them(self) -> None:
        def open_session(expires_in: timedelta) -> str:
            store: Any = import_module(configured.SESSION_ENGINE).SessionStore()
            store.create()
            Session.objects.filter(session_key=store.session_key).update(expire_date=NOW + expires_in)
            UserSession.objects.create(user=user, ip="::1", session_key=store.session_key, user_agent="")
            return str(store.session_key)

        user = make_user()
        open_session(-DAY)
        good = open_session(DAY)

        assert prune("sessions") == 1
        assert prune("sign-ins") == 1
        assert Session.objects.get().session_key == UserSession.objects.get().session_key == good

    def test_cached_values_go_when_they_have_expired(self) -> None:
        CacheRow.objects.create(key="old", value=1, expires_at=NOW - DAY)
        CacheRow.objects.create(key="good", value=1, expires_at=NOW + DAY)
        CacheRow.objects.create(key="for good", value=1, expires_at=None)

        assert prune("cached values") == 1
        assert set(CacheRow.objects.values_list("key", flat=True)) == {"good", "for good"}


class TestPrune:
    def test_is_one_process_s_every_few_minutes(self) -> None:
        cache.clear()
        deliver("a", days=9)
        retention.prune(now=NOW)
        assert not WebhookDelivery.objects.exists()

        deliver("b", days=9)
        retention.prune(now=NOW)

        assert WebhookDelivery.objects.count() == 1
