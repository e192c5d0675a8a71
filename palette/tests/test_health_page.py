"""The administrator's health page says what `/metrics` says, to those who may look."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import alerts
from accounts.tests.factories import make_user
from accounts.tests.overseeing import ADMIN, make_administrator, make_auditor, make_staff
from generation.models import Prediction
from generation.tests.making import make_prediction
from palette import admin_health, vitals

pytestmark = pytest.mark.django_db
PAGE = f"{ADMIN}health/"


class TestPage:
    def test_shows_every_vital(self) -> None:
        assert {name for names in admin_health.GROUPS.values() for name in names} == set(vitals.VITALS)

    def test_puts_first_what_needs_a_person(self, client: Client) -> None:
        client.force_login(make_administrator())
        # Of this month, and in line for longer than it should be.
        make_prediction(now=timezone.now())
        Prediction.objects.update(due_at=timezone.now() - timedelta(minutes=10))
        alerts.note("low_credit", "Little is left.", now=timezone.now())

        response = client.get(PAGE)

        hot = {(row.name, row.label) for row in response.context["hot"]}
        assert hot == {("queue_age_seconds", "submit"), ("alerts", "low_credit")}
        assert dict(response.context["checks"])["queue"] == "late"
        assert "$0.04" in response.content.decode()

    def test_says_when_all_is_well(self, client: Client) -> None:
        client.force_login(make_auditor())

        shown = client.get(PAGE).content.decode()

        assert "Every figure is where it should be" in shown
        assert f'href="{PAGE}"' in client.get(ADMIN).content.decode()

    def test_is_for_those_who_may_look(self, client: Client) -> None:
        assert client.get(PAGE).status_code == 302
        client.force_login(make_user())
        assert client.get(PAGE, follow=True).status_code == 403
        client.force_login(make_staff())
        assert client.get(PAGE).status_code == 403
        assert "health/" not in client.get(ADMIN).content.decode()
        client.force_login(make_auditor())
        assert client.post(PAGE).status_code == 405
