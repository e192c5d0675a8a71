"""Whatever a session cookie says, it ends at most in nobody being signed in."""

from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.tests.factories import make_user

STRANGE = ["aaaa\0bbbb", "aaaa bbbb", "aaaaébbbb", "aaaa'bbbb", "short"]


@pytest.mark.django_db
class TestSessionStore:
    @pytest.mark.parametrize("key", STRANGE)
    def test_asks_the_database_for_no_key_that_it_cannot_have_made(self, key: str) -> None:
        assert import_module(settings.SESSION_ENGINE).SessionStore(key).session_key is None

    @pytest.mark.parametrize("key", STRANGE)
    def test_leaves_a_strange_cookie_to_a_stranger(self, client: Client, key: str) -> None:
        client.cookies[settings.SESSION_COOKIE_NAME] = key

        assert client.get("/accounts/login/").status_code == 200
        assert client.get("/settings/").status_code == 302

    def test_knows_its_own(self, client: Client) -> None:
        client.force_login(make_user())

        assert client.get("/settings/").status_code == 200

    def test_forgets_it_when_its_time_is_over(self, client: Client) -> None:
        client.force_login(make_user())
        Session.objects.update(expire_date=timezone.now())

        assert client.get("/settings/").status_code == 302
