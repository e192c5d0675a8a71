"""What monitoring reads, and who may read it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from accounts import alerts
from accounts.models import LedgerEntry, QuotaPeriod
from generation.models import Output, Prediction, ProviderState, WebhookDelivery
from generation.tests.making import make_prediction, make_sent
from generation.webhooks import rejections
from generation.work.lanes import LANES
from palette import vitals

pytestmark = pytest.mark.django_db
TOKEN = "a-token-for-the-monitoring"


def figures(client: Client, **headers: Any) -> dict[tuple[str, str], float]:
    """Each sample by its name without the prefix and the value of its label."""
    response = client.get("/metrics", **headers)
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {
        (sample.name.removeprefix("palette_"), next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
    }


class TestMetrics:
    def test_are_written_as_prometheus_reads_them(self, client: Client) -> None:
        response = client.get("/metrics")

        assert response["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "no-store" in response["Cache-Control"]
        assert ("sockets", "") in figures(client)
        assert figures(client)["queue_age_seconds", "submit"] == 0

    def test_tell_of_what_waits(self, client: Client) -> None:
        make_prediction(now=timezone.now() - timedelta(seconds=90))

        found = figures(client)

        assert 85 < found["queue_age_seconds", "submit"] < 600
        assert found["queue_rows", "submit"] == 1
        assert found["predictions_unfinished", "queued"] == 1
        assert found["held_usd", "day"] > 0

    def test_tell_of_every_lane(self, client: Client) -> None:
        assert {lane for name, lane in figures(client) if name == "queue_age_seconds"} == {lane.name for lane in LANES}

    def test_tell_of_files_that_may_be_lost(self, client: Client) -> None:
        now = timezone.now()
        prediction, attempt = make_sent(now=now)
        Output.objects.create(
            prediction=prediction, attempt=attempt, index=0, url="u", due_at=now, expires_at=now + timedelta(minutes=45)
        )

        assert 890 < figures(client)["output_unsaved_seconds", ""] < 1500

    def test_tell_of_money_held_for_nothing(self, client: Client) -> None:
        prediction = make_prediction(now=timezone.now())
        assert figures(client)["reservations_of_finished", ""] == 0

        Prediction.objects.filter(pk=prediction.pk).update(status="failed", error_code="timed_out", due_at=None)

        found = figures(client)
        assert found["reservations_of_finished", ""] == 1
        assert found["provider_errors", "timed_out"] == 1
        entry = LedgerEntry.objects.get()
        entry.pk, entry.kind, entry._state.adding = None, "release", True
        entry.save()
        assert figures(client)["reservations_of_finished", ""] == 0

    def test_tell_of_doors_deliveries_and_alerts(self, client: Client, settings: Settings) -> None:
        now = timezone.now()
        soon = now + timedelta(minutes=1)
        ProviderState.objects.create(provider=settings.PROVIDER, closed_until=soon, closed_reason="no_credit")
        WebhookDelivery.objects.create(webhook_id="w", received_at=now - timedelta(minutes=2), body=b"", due_at=now)
        alerts.note("low_credit", "Little is left.", now=now)

        found = figures(client)

        assert found["provider_closed", "no_credit"] == 1
        assert 115 < found["webhook_lag_seconds", ""] < 600
        assert found["alerts", "low_credit"] == 1

    def test_tell_of_strangers_spend_and_sockets(
        self, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rejections.cache.clear()
        rejections.count("unsigned", day=timezone.localdate())
        settings.PROVIDER, settings.SITE_DAILY_USD_MICROS = "replicate", 25_000_000
        QuotaPeriod.objects.create(scope="site", period="day", starts_on=timezone.localdate(), settled_micros=2_500_000)
        monkeypatch.setattr(vitals, "sockets", lambda: 3)

        found = figures(client)

        assert (found["webhooks_rejected", "unsigned"], found["webhooks_rejected", "out_of_time"]) == (1, 0)
        assert (found["spent_usd", "day"], found["budget_usd", "day"]) == (2.5, 25)
        assert found["sockets", ""] == 3

    def test_name_what_could_not_be_read(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def money(now: Any) -> Any:
            raise DatabaseError("canceling statement due to statement timeout")

        monkeypatch.setattr(vitals, "PARTS", (vitals.lanes, money))

        found = figures(client)

        assert found["vitals_failed", "money"] == 1
        assert ("queue_rows", "submit") in found

    def test_take_no_more_statements_for_more_rows(self) -> None:
        user = make_prediction().user
        with CaptureQueriesContext(connection) as few:
            vitals.read(now=timezone.now())
        for number in range(5):
            make_prediction(user=user, key=str(number))

        with CaptureQueriesContext(connection) as many:
            vitals.read(now=timezone.now())

        # On PostgreSQL each part adds three: a savepoint, its limit of time, and the savepoint's release.
        bounding = 3 * len(vitals.PARTS) if connection.vendor == "postgresql" else 0
        assert len(many) == len(few) < 40 + bounding


class TestWhoMayRead:
    def test_this_machine(self, client: Client) -> None:
        assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 200

    @pytest.mark.parametrize("header", ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via"])
    def test_nobody_through_a_proxy_of_this_machine(self, client: Client, header: str) -> None:
        assert client.get("/metrics", headers={header: "127.0.0.1"}).status_code == 404

    def test_no_other_machine(self, client: Client) -> None:
        response = client.get("/metrics", REMOTE_ADDR="203.0.113.9")

        assert response.status_code == 404
        assert b"palette_" not in response.content

    def test_whoever_has_the_token(self, client: Client, settings: Settings) -> None:
        settings.METRICS_TOKEN = TOKEN

        def status(given: str) -> int:
            return client.get(
                "/metrics", REMOTE_ADDR="203.0.113.9", headers={"authorization": f"Bearer {given}"}
            ).status_code

        assert status(TOKEN) == 200
        assert status(TOKEN[:-1]) == status("") == status("é" * 20) == 404
