"""Deliveries as the provider sends them, signed for real."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.test import Client
from standardwebhooks import Webhook

from generation.models import Attempt

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # the documented example key, nobody's


def sign(body: bytes, *, webhook_id: str = "msg_1", at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    """The three headers over these bytes."""
    at = at or datetime.now(tz=UTC)
    signature = Webhook(secret).sign(webhook_id, at, body.decode(errors="surrogateescape"))
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def body_of(status: str, *, provider_id: str = "p1", **fields: Any) -> bytes:
    """A prediction object as the provider's API description shapes it."""
    prediction = {
        "id": provider_id,
        "model": "google/nano-banana",
        "version": "hidden",
        "status": status,
        "input": {"prompt": "a lake at dusk"},
        "source": "api",
        "created_at": "2026-07-16T12:00:00.000Z",
        "urls": {"get": "https://api.replicate.com/v1/predictions/p1"},
        "logs": "",
        "error": None,
        **fields,
    }
    return json.dumps(prediction).encode()


def succeeded(**fields: Any) -> bytes:
    """The terminal delivery of a picture."""
    return body_of(
        "succeeded",
        **{
            "output": "https://replicate.delivery/a/out.jpg",
            "started_at": "2026-07-16T12:00:01.000Z",
            "completed_at": "2026-07-16T12:00:09.000Z",
            "metrics": {"predict_time": 8.0, "image_output_count": 1},
            **fields,
        },
    )


def post(
    client: Client,
    attempt: Attempt | None,
    body: bytes,
    headers: dict[str, str] | None = None,
    token: str | None = None,
) -> HttpResponse:
    """Deliver `body` to the address that was handed out for `attempt`."""
    query = {}
    if attempt is not None:
        query = {"prediction": str(attempt.prediction_id), "token": attempt.address_token if token is None else token}
    address = urlsplit("/api/webhooks/replicate").path
    response: Any = client.post(
        address, data=body, content_type="application/json", headers=headers or sign(body), query_params=query
    )
    answer: HttpResponse = response
    return answer
