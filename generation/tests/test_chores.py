"""What workers do now and then."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from generation import catalog
from generation.models import ProviderState, WebhookDelivery
from generation.sandbox.running import RunningSandbox
from generation.tests.making import SEEDANCE
from generation.tests.processes import worker
from generation.work import deletions, notices
from generation.work.chores import chores, read_webhook_secret
from generation.work.loop import CHORES_SECONDS

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def reachable(settings: Settings, sandbox: RunningSandbox) -> None:
    settings.WEBHOOK_ORIGIN = "http://127.0.0.1:1"
    cache.clear()


class TestWebhookSecret:
    def test_is_asked_for_hourly(self, sandbox: RunningSandbox) -> None:
        now = timezone.now()

        for moment in (now, now + timedelta(minutes=59), now + timedelta(minutes=61)):
            read_webhook_secret(now=moment)

        assert ProviderState.objects.get().webhook_secrets == [sandbox.secret]
        assert len(sandbox.log("secret")) == 2

    def test_before_a_rotation_stays_good(self, sandbox: RunningSandbox) -> None:
        ProviderState.objects.create(provider="sandbox", webhook_secrets=["whsec_before", "whsec_long_ago"])

        read_webhook_secret(now=timezone.now())

        assert ProviderState.objects.get().webhook_secrets == [sandbox.secret, "whsec_before"]

    def test_of_the_environment_is_not_asked_for(self, sandbox: RunningSandbox, settings: Settings) -> None:
        settings.REPLICATE_WEBHOOK_SECRETS = ["whsec_given"]

        read_webhook_secret(now=timezone.now())

        assert sandbox.log("secret") == []

    @pytest.mark.slow
    @pytest.mark.django_db(transaction=True)
    def test_that_was_not_to_be_had_at_first_is_soon_asked_for_again(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 503}}, call=["secret"], times=1)
        known = ProviderState.objects.exclude(webhook_secrets=[])

        with worker(lanes="chores"):
            sandbox.wait_until(lambda: bool(sandbox.log("secret")), seconds=60)
            sandbox.wait_until(known.exists, seconds=CHORES_SECONDS - 1)

        assert known.get().webhook_secrets == [sandbox.secret]


class TestARefusedToken:
    @pytest.mark.django_db(transaction=True)
    def test_is_tried_by_one_call_and_nothing_else_is_asked(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 401}}, call=["account", "secret"], times=None)
        catalog.mark_unavailable(SEEDANCE, now=timezone.now())
        ProviderState.objects.create(
            provider="sandbox", closed_reason="unauthenticated", faults=1, closed_until=timezone.now()
        )

        for _ in range(3):
            chores()

        assert (len(sandbox.log("account")), sandbox.log("secret"), sandbox.log("model")) == (1, [], [])

    def test_that_is_good_again_opens_the_door(self) -> None:
        ProviderState.objects.create(
            provider="sandbox", closed_reason="unauthenticated", faults=1, closed_until=timezone.now()
        )

        chores()

        assert ProviderState.objects.get().faults == 0


class TestChores:
    def test_bring_a_model_back_that_is_offered_again(self) -> None:
        catalog.mark_unavailable(SEEDANCE, now=timezone.now())

        chores()

        assert catalog.available(SEEDANCE)

    def test_forget_deliveries_after_a_day(self) -> None:
        now = timezone.now()
        for hours in (23, 25):
            WebhookDelivery.objects.create(
                webhook_id=f"msg_{hours}", received_at=now - timedelta(hours=hours), body=b"{}"
            )

        chores()

        assert WebhookDelivery.objects.get().webhook_id == "msg_23"

    def test_tell_the_news_by_the_clock_of_that_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes before may take minutes, and a receiver refuses a signature that is minutes old."""
        moments = []
        monkeypatch.setattr(deletions, "take_away", lambda *, now: moments.append(timezone.now()))
        monkeypatch.setattr(notices, "tell", lambda *, now: moments.append(now))

        chores()

        assert len(moments) == 2 and moments == sorted(moments)

    def test_sweep_what_killed_workers_left(self, data_dir: Path) -> None:
        for name, age in (("old", 3 * 3600), ("new", 60)):
            folder = data_dir / "tmp" / name
            folder.mkdir(parents=True)
            os.utime(folder, (time.time() - age,) * 2)

        chores()

        assert [path.name for path in (data_dir / "tmp").iterdir()] == ["new"]
