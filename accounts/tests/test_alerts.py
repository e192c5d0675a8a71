"""What administrators are told of: once, again after an hour, and never what is over."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from pytest_django import Settings

from accounts import alerts
from accounts.mail import MailUnsent
from accounts.models import Alert, User

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 7, 16, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def administrator() -> None:
    User.objects.create_superuser("root", "root@example.com")
    User.objects.create_user("ada", "ada@example.com")


class TestAlert:
    def test_is_one_row_however_often_it_is_noted(self) -> None:
        alerts.note("store_refused", "The store answers 403.", now=NOW)
        alerts.note("store_refused", "The store answers 413.", now=NOW + timedelta(minutes=1))

        alert = Alert.objects.get()
        assert (alert.count, alert.detail, alert.first_at) == (2, "The store answers 413.", NOW)

    def test_goes_to_administrators_once_an_hour_while_it_goes_on(self) -> None:
        for minutes in (0, 1, 59, 61):
            now = NOW + timedelta(minutes=minutes)
            alerts.note("store_refused", "The store answers 403.", now=now)
            alerts.tell(now=now)

        assert [message.to for message in mail.outbox] == [["root@example.com"]] * 2
        assert "The store answers 403." in mail.outbox[0].body

    def test_that_could_not_be_mailed_is_told_when_it_can(self, settings: Settings) -> None:
        alerts.note("store_refused", "The store answers 403.", now=NOW)
        working = settings.EMAIL_BACKEND
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        with pytest.raises(MailUnsent):
            alerts.tell(now=NOW)

        settings.EMAIL_BACKEND = working

        assert alerts.tell(now=NOW + timedelta(minutes=1)) == 1
        assert len(mail.outbox) == 1

    def test_that_is_over_is_told_no_more_and_begins_anew(self) -> None:
        alerts.note("store_refused", "The store answers 403.", now=NOW)
        alerts.over("store_refused", now=NOW + timedelta(minutes=1))

        assert alerts.tell(now=NOW + timedelta(minutes=2)) == 0

        later = NOW + timedelta(days=1)
        alerts.note("store_refused", "The store answers 403.", now=later)
        assert (Alert.objects.get().count, Alert.objects.get().first_at) == (1, later)
        assert alerts.tell(now=later) == 1
