"""/api/tokens: what a program may do with its user's tokens, and what no token may give away."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiToken, User
from accounts.tests.factories import make_user
from accounts.tokens import create_token, verify

pytestmark = pytest.mark.django_db
BODY: dict[str, Any] = {"name": "ci", "scopes": ["read"]}


class Program:
    """A program with a token of its own."""

    def __init__(self, user: User, *, scopes: Collection[str] = ("generate", "read", "manage"), **fields: Any) -> None:
        self.row, self.token = create_token(user=user, name="own", expires_at=None, now=timezone.now(), scopes=scopes)
        ApiToken.objects.filter(pk=self.row.pk).update(**fields)
        self.client = Client(headers={"Authorization": f"Bearer {self.token}"})

    def make(self, **changes: Any) -> Any:
        """POST a body that is good but for `changes`."""
        return self.client.post("/api/tokens", BODY | changes, content_type="application/json")

    def refused(self, **changes: Any) -> dict[str, str]:
        """Field to sentence of the 422 for it; nothing was made."""
        response = self.make(**changes)
        assert response.status_code == 422, response.content
        assert ApiToken.objects.count() == 1
        return {error["field"]: error["message"] for error in response.json()["errors"]}


@pytest.fixture
def program() -> Program:
    return Program(make_user())


class TestMake:
    def test_answers_the_token_once(self, program: Program) -> None:
        expires = timezone.now().replace(microsecond=0) + timedelta(days=3)

        response = program.make(expiresAt=expires.isoformat(), limits={"day": {"usd": "0.50"}, "month": {"count": 9}})

        made = response.json()
        row = verify(made["token"], now=timezone.now())
        assert response.status_code == 201
        assert row is not None
        assert (row.scopes, row.expires_at) == (["read"], expires)
        assert (row.daily_micros_limit, row.monthly_count_limit) == (500_000, 9)
        assert made["limits"] == {"day": {"count": None, "usd": "0.50"}, "month": {"count": 9, "usd": None}}
        assert "token" not in program.client.get(response["Location"]).json()

    def test_wants_to_know_the_scopes(self, program: Program) -> None:
        assert "scopes" in program.refused(scopes=[])
        assert any(field.startswith("scopes") for field in program.refused(scopes=["admin"]))

    def test_refuses_what_it_does_not_know(self, program: Program) -> None:
        strange: list[dict[str, Any]] = [{"user": 1}, {"limits": {"week": {}}}, {"limits": {"day": {"eur": "1"}}}]
        for more in strange:
            response = program.make(**more)
            assert response.status_code == 400, more
        assert ApiToken.objects.count() == 1

    def test_refuses_a_name_that_is_taken(self, program: Program) -> None:
        assert "already" in program.refused(name="own")["name"]

    def test_refuses_what_has_expired(self, program: Program) -> None:
        assert "future" in program.refused(expiresAt="2020-01-01T00:00:00Z")["expiresAt"]


class TestMakingFromAToken:
    def test_gives_no_scope_that_it_lacks(self) -> None:
        program = Program(make_user(), scopes=["manage", "read"])

        assert "generate" in program.refused(scopes=["generate", "read"])["scopes"]

    def test_gives_no_longer_life(self) -> None:
        soon = timezone.now() + timedelta(days=1)
        program = Program(make_user(), expires_at=soon)

        assert "earlier" in program.refused()["expiresAt"]
        assert "earlier" in program.refused(expiresAt=(soon + timedelta(seconds=1)).isoformat())["expiresAt"]
        assert program.make(expiresAt=(soon - timedelta(seconds=1)).isoformat()).status_code == 201

    def test_spends_no_limit_twice(self) -> None:
        program = Program(make_user(), daily_micros_limit=1_000_000)

        assert "limits" in program.refused(scopes=["generate"], limits={"day": {"usd": "1.00"}})["scopes"]
        assert program.make(scopes=["read"]).status_code == 201

    def test_leaves_a_person_free(self, client: Client) -> None:
        client.force_login(make_user())

        made = client.post("/api/tokens", BODY | {"scopes": ["generate", "manage"]}, content_type="application/json")

        assert made.json()["scopes"] == ["generate", "manage"]


class TestLookAndRevoke:
    def test_lists_the_newest_first_and_no_secret(self, program: Program) -> None:
        program.make()

        body = program.client.get("/api/tokens").json()

        assert [token["name"] for token in body["results"]] == ["ci", "own"]
        assert body["results"][1]["lastUsedAt"] is not None
        assert "digest" not in str(body)

    def test_ends_a_token_at_once(self, program: Program) -> None:
        made = program.make().json()

        assert program.client.delete(f"/api/tokens/{made['id']}").status_code == 204

        assert verify(made["token"], now=timezone.now()) is None
        assert program.client.get(f"/api/tokens/{made['id']}").status_code == 404

    def test_may_end_itself(self, program: Program) -> None:
        assert program.client.delete(f"/api/tokens/{program.row.pk}").status_code == 204
        assert program.client.get("/api/tokens").status_code == 401

    def test_knows_nothing_of_another_s(self, program: Program) -> None:
        other, token = create_token(user=make_user("rui"), name="his", expires_at=None, now=timezone.now())

        for method in ("get", "delete"):
            assert getattr(program.client, method)(f"/api/tokens/{other.pk}").status_code == 404
        assert verify(token, now=timezone.now()) is not None

    def test_needs_the_scope(self) -> None:
        program = Program(make_user(), scopes=["generate", "read"])

        assert program.client.get("/api/tokens").json()["requiredScope"] == "manage"
        assert program.make().status_code == 403
