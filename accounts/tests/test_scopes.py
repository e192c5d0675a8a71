"""A token does what it was made for, and nothing else."""

from collections.abc import Collection

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.views import APIView

from accounts.api.scopes import required_scope
from accounts.tests.factories import make_user
from accounts.tokens import create_token

pytestmark = pytest.mark.django_db


def headers(scopes: Collection[str]) -> dict[str, str]:
    """Of a token with these scopes."""
    user = make_user()
    _, token = create_token(user=user, name="ci", expires_at=None, now=timezone.now(), scopes=scopes)
    return {"Authorization": f"Bearer {token}"}


class TestTokenScope:
    def test_lets_through_what_the_token_was_made_for(self, client: Client) -> None:
        assert client.get("/api/usage", headers=headers(["read"])).status_code == 200

    def test_names_the_scope_that_is_missing(self, client: Client) -> None:
        response = client.get("/api/usage", headers=headers(["generate", "manage"]))

        body = response.json()
        assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")
        assert (body["code"], body["requiredScope"], body["charged"]) == ("insufficient_scope", "read", "none")
        assert response["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="read"'

    def test_asks_before_anything_is_read_or_made(self, client: Client) -> None:
        asked = client.post("/api/generation/image", b"{", content_type="application/json", headers=headers(["read"]))

        assert asked.json()["requiredScope"] == "generate"

    def test_leaves_a_method_that_is_not_there_to_405(self, client: Client) -> None:
        assert client.delete("/api/usage", headers=headers([])).status_code == 405

    def test_gives_a_session_every_scope(self, client: Client) -> None:
        client.force_login(make_user())

        assert client.get("/api/usage").status_code == 200


class TestRequiredScope:
    def test_closes_what_a_view_forgot(self) -> None:
        class Forgetful(APIView):
            def get(self) -> None: ...

        assert required_scope(Forgetful, "GET") == "manage"

    def test_takes_head_for_get(self) -> None:
        class Read(APIView):
            required_scopes = {"GET": "read"}  # noqa: RUF012  (as a view may be written)

            def get(self) -> None: ...

        assert required_scope(Read, "HEAD") == "read"
        assert required_scope(Read, "PUT") is None
