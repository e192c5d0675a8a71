"""Tokens are recognised by their digest, and refused as soon as they should be."""

import re
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import tokens
from accounts.models import ApiToken, User
from accounts.tests.factories import NOON, make_user
from accounts.tests.test_reserve import run_together
from accounts.tokens import create_token, revoke, verify


def make_token(user: User, **fields: object) -> tuple[ApiToken, str]:
    """One that does not expire, made now."""
    return create_token(user=user, name="edit-bay", expires_at=None, now=timezone.now())


@pytest.mark.django_db
class TestCreateToken:
    def test_has_256_random_bits_after_its_prefix(self) -> None:
        _, token = make_token(make_user())

        assert re.fullmatch(r"dp_[A-Za-z0-9_-]{43}", token)

    def test_is_stored_nowhere(self) -> None:
        _, token = make_token(make_user())

        dump = serializers.serialize("json", ApiToken.objects.all())

        assert token not in dump
        assert token[:11] in dump


@pytest.mark.django_db
class TestVerify:
    def test_finds_the_token_and_its_user(self) -> None:
        user = make_user()
        row, token = make_token(user)

        found = verify(token, now=timezone.now())

        assert found == row
        assert found is not None
        assert found.user == user

    @pytest.mark.parametrize("wrong", ["", "dp_", "dp_" + "x" * 43, "ünïcode", "\ud800", "x" * 100_000])
    def test_refuses_what_it_does_not_know(self, wrong: str) -> None:
        make_token(make_user())

        assert verify(wrong, now=NOON) is None

    def test_refuses_from_the_moment_it_expires(self) -> None:
        _, token = create_token(user=make_user(), name="a", expires_at=NOON, now=NOON - timedelta(days=1))

        assert verify(token, now=NOON - timedelta(seconds=1)) is not None
        assert verify(token, now=NOON) is None

    def test_refuses_a_revoked_token_at_once(self) -> None:
        row, token = make_token(make_user())

        revoke(row, now=timezone.now())

        assert verify(token, now=timezone.now()) is None

    def test_refuses_the_token_of_a_closed_account(self) -> None:
        _, token = make_token(make_user(is_active=False))

        assert verify(token, now=timezone.now()) is None

    def test_notes_its_use_once_a_minute(self) -> None:
        row, token = make_token(make_user())

        for seconds in (0, 30, 59):
            verify(token, now=NOON + timedelta(seconds=seconds))
        row.refresh_from_db()
        assert row.last_used_at == NOON

        verify(token, now=NOON + timedelta(seconds=61))
        row.refresh_from_db()
        assert row.last_used_at == NOON + timedelta(seconds=61)


@pytest.mark.django_db
class TestBearerTokenAuthentication:
    def test_lets_a_good_token_in(self, client: Client) -> None:
        _, token = make_token(make_user())

        assert client.get("/api/usage", headers={"Authorization": f"bearer {token}"}).status_code == 200

    @pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic aW5lczp4", "Bearer \xff\xfe"])
    def test_challenges_everybody_else(self, client: Client, header: str | None) -> None:
        response = client.get("/api/usage", headers={"Authorization": header} if header else {})

        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert response["Content-Type"] == "application/problem+json"

    def test_does_not_fall_back_to_the_session(self, client: Client) -> None:
        client.force_login(make_user())

        assert client.get("/api/usage", headers={"Authorization": "Bearer stale"}).status_code == 401

    def test_refuses_a_revoked_token_in_the_next_request(self, client: Client) -> None:
        row, token = make_token(make_user())
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/api/usage", headers=headers).status_code == 200

        revoke(row, now=timezone.now())

        assert client.get("/api/usage", headers=headers).status_code == 401


@pytest.mark.django_db(transaction=True)
class TestManyTokensAtOnce:
    def test_are_no_more_than_a_user_may_have(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tokens, "MOST_TOKENS", 2)
        user, start, refused = make_user(), threading.Barrier(6), []

        def create_slowly(**fields: Any) -> tuple[ApiToken, str]:
            time.sleep(0.05)
            return create_token(**fields)

        monkeypatch.setattr(tokens, "create_token", create_slowly)

        def work(number: int) -> None:
            start.wait()
            try:
                tokens.make_token(user=user, wanted=tokens.Wanted(f"ci {number}", ["read"]), now=timezone.now())
            except tokens.InvalidToken as refusal:
                refused.append(refusal)
            finally:
                connection.close()

        run_together([threading.Thread(target=work, args=[number]) for number in range(6)])

        assert (ApiToken.objects.count(), len(refused)) == (2, 4)
