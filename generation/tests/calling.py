"""Calls to the API as a program makes them: JSON, with a bearer token."""

from typing import Any

from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tokens import create_token

IMAGE, VIDEO, ESTIMATE = "/api/generation/image", "/api/generation/video", "/api/generation/estimate"


class Caller:
    """One user's program. Answers are Django's test responses; headers are given by name."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.token_row, self.token = create_token(user=user, name="test", expires_at=None, now=timezone.now())
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        """GET `path`, query string and all."""
        return self.client.get(path, headers=self.headers(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """POST `body` as JSON, bytes as they are."""
        content = {} if body is None else {"data": body, "content_type": "application/json"}
        return self.client.post(path, headers=self.headers(headers), **content)

    def send(self, method: str, path: str) -> Any:
        """A request without a body."""
        return self.client.generic(method, path, headers=self.headers({}))

    def headers(self, more: dict[str, str]) -> dict[str, str]:
        """`Idempotency_Key="k"` becomes `Idempotency-Key: k`."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.token}"} | named


def problem(response: Any, status: int) -> dict[str, Any]:
    """The body of a problem, checked to be one of this status."""
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert response["Content-Type"] == "application/problem+json"
    assert body.keys() >= {"type", "title", "status", "detail", "code", "charged"}
    assert body["status"] == status
    return body


def refused(response: Any) -> dict[str, str]:
    """Field to sentence of a 422."""
    return {error["field"]: error["message"] for error in problem(response, 422)["errors"]}
