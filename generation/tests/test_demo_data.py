"""`manage.py demo_data`: made-up data that agrees with itself, and is made once and never where it could harm."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from accounts import quotas
from accounts.models import DailySpend, LedgerEntry, QuotaPeriod, User
from generation.demonstration import Plan, make
from generation.models import Attempt, Prediction, PredictionEvent, WebhookDelivery
from generation.oversight import overview
from generation.reconcile import _open_reservations
from generation.states import TERMINAL, UNFINISHED

pytestmark = pytest.mark.django_db
SMALL = Plan(predictions=400, months=2, corrected=0.2)


def told(*words: str) -> str:
    """What the command says."""
    out = io.StringIO()
    call_command("demo_data", *words, stdout=out)
    return out.getvalue()


class TestMake:
    def test_keeps_books_in_which_nothing_is_wrong(self) -> None:
        now = timezone.now()

        make(plan=SMALL, now=now)

        assert quotas.recompute(now=now) == []
        assert _open_reservations() == []
        assert set(DailySpend.objects.values_list("end", flat=True)) >= {"succeeded", "failed", "canceled"}
        site = QuotaPeriod.objects.filter(scope="sandbox/site", period="month")
        assert sum(row.settled_micros for row in site) == sum(row.micros for row in DailySpend.objects.all())

    def test_tells_of_each_prediction_what_its_ledger_says(self) -> None:
        make(plan=SMALL, now=timezone.now())

        settled = dict(LedgerEntry.objects.filter(kind="settle").values_list("reference", "amount_micros"))
        for prediction in Prediction.objects.filter(status__in=TERMINAL).prefetch_related("attempts"):
            charged = sum(settled.get(attempt.pk, 0) for attempt in prediction.attempts.all())
            assert prediction.cost_micros == charged
        assert not Attempt.objects.filter(prediction__status__in=TERMINAL, closed_at=None).exists()

    def test_has_work_under_way_and_one_that_is_stuck(self) -> None:
        # On a Sunday there may be none that ended within a day.
        now = datetime(2026, 11, 25, 16, tzinfo=UTC)

        make(plan=SMALL, now=now)

        seen = overview(now=now)
        assert (seen.queued, seen.running, seen.stuck_count) == (2, 4, 1)
        assert seen.webhooks.looked_at > 0
        held = (
            LedgerEntry.objects.filter(kind="reserve").count()
            - LedgerEntry.objects.filter(kind__in=["settle", "release"]).count()
        )
        assert held == Prediction.objects.filter(status__in=UNFINISHED).count()

    def test_gives_every_prediction_a_number_and_its_newest_event(self) -> None:
        users = make(plan=SMALL, now=timezone.now())

        for user in User.objects.filter(pk__in=[user.pk for user in users]):
            numbers = sorted(user.predictions.values_list("number", flat=True))
            assert numbers == list(range(1, user.last_frame_number + 1))
        prediction = Prediction.objects.order_by("?")[0]
        newest = PredictionEvent.objects.filter(prediction=prediction).latest("pk")
        assert prediction.last_event_id == newest.pk

    def test_is_the_same_again_for_the_same_seed(self) -> None:
        now = timezone.now()
        make(plan=SMALL, now=now)
        before = sorted(Prediction.objects.values_list("pk", "cost_micros"))
        for model in (Prediction, LedgerEntry, QuotaPeriod, DailySpend, WebhookDelivery, User):
            model._default_manager.all().delete()

        make(plan=SMALL, now=now)

        assert sorted(Prediction.objects.values_list("pk", "cost_micros")) == before

    def test_leaves_out_the_history_of_large_amounts(self) -> None:
        now = timezone.now()

        make(plan=Plan(predictions=300, history=False, corrected=1.0), now=now)

        assert not PredictionEvent.objects.exists()
        assert LedgerEntry.objects.count() >= 2.8 * Prediction.objects.count()
        assert quotas.recompute(now=now) == []
        assert Prediction.objects.filter(created_at__lt=now - timedelta(days=31)).count() == 0


class TestDemoData:
    def test_is_made_once(self) -> None:
        assert "60 predictions of 6 made-up creators" in told("--predictions", "60")

        assert "already" in told("--predictions", "60")
        assert Prediction.objects.filter(status__in=TERMINAL).count() == 60

    def test_opens_no_door(self) -> None:
        told("--predictions", "5")

        users = User.objects.filter(username__startswith="demo-")
        assert not any(user.has_usable_password() or user.is_staff for user in users)
        assert all(user.email.endswith("@example.invalid") for user in users)

    @pytest.mark.parametrize("words", [["--predictions", "0"], ["--months", "-1"], ["--users", "0"]])
    def test_says_what_is_no_amount(self, words: list[str]) -> None:
        with pytest.raises(CommandError, match="at least 1"):
            told(*words)

    def test_is_refused_in_production_and_beside_a_real_provider(self, settings: Settings) -> None:
        settings.PRODUCTION = True
        with pytest.raises(CommandError, match="not for production"):
            told()
        settings.PRODUCTION, settings.PROVIDER_URL = False, "https://api.replicate.com"
        with pytest.raises(CommandError, match="real provider"):
            told()
        assert not User.objects.exists()
