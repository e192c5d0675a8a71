"""Predictions that hang at the provider, and deliveries that end them when the benchmark says so."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from standardwebhooks import Webhook

from benchmarks.looking import Look
from benchmarks.product import Product

HANGING = "a ship at anchor"
ASKED: Mapping[str, dict[str, Any]] = {"image": {}, "video": {"duration": 5, "resolution": "480p"}}
GIVE_UP_SECONDS = 60.0
LOOK_SECONDS = 0.002
PROVIDER = {"Authorization": "Bearer r8_benchmark"}


@dataclass(frozen=True)
class Sent:
    """A prediction that the provider runs, and the address at which we are told of it."""

    id: UUID
    number: int
    provider_id: str
    token: str

    @property
    def address(self) -> str:
        """Behind the product's own."""
        return f"/api/webhooks/replicate?prediction={self.id}&token={self.token}"


def let_hang(product: Product) -> str:
    """From now on what asks for `HANGING` never ends by itself; returns the secret that deliveries are signed with."""
    rule = {"match": {"prompt_contains": HANGING}, "times": None, "fault": {"outcome": {"hang": "processing"}}}
    httpx.post(f"{product.provider_url}/sandbox/faults", json=rule).raise_for_status()
    answer = httpx.get(f"{product.provider_url}/v1/webhooks/default/secret", headers=PROVIDER).raise_for_status()
    return str(answer.json()["key"])


def send(product: Product, client: httpx.Client, look: Look, *, kind: str) -> Sent:
    """Ask for an `image` or a `video`, and wait until it runs at the provider."""
    answer = client.post(
        f"{product.url}/api/generation/{kind}",
        headers=product.person.bearer,
        json={"prompt": f"{HANGING}, {uuid4()}"} | ASKED[kind],
    ).raise_for_status()
    prediction = UUID(answer.json()["predictionId"])
    running = (
        "SELECT p.number, provider_id, address_token FROM generation_attempt JOIN generation_prediction p"
        " ON p.id = prediction_id WHERE prediction_id = ? AND provider_id IS NOT NULL AND status = 'processing'"
    )
    number, provider_id, token = wait_until(lambda: look(running, prediction), f"prediction {prediction} runs")
    return Sent(prediction, number, provider_id, token)


def signed(secret: str, body: bytes, *, id: str | None = None) -> dict[str, str]:
    """The headers of a delivery, made now."""
    name, now = id or f"msg_{uuid4().hex}", datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, now, body.decode()),
    }


def told(provider_id: str, status: str, **fields: Any) -> bytes:
    """A prediction as the provider tells of it."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    common = {
        "id": provider_id,
        "model": "google/nano-banana",
        "version": "hidden",
        "status": status,
        "input": {"prompt": HANGING},
        "source": "api",
        "created_at": now,
        "started_at": now,
        "urls": {"get": f"https://api.replicate.com/v1/predictions/{provider_id}"},
        "logs": "",
        "error": None,
    }
    return json.dumps(common | fields).encode()


def ended(provider_id: str, output: str) -> bytes:
    """The delivery of a success with one file."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return told(provider_id, "succeeded", output=output, completed_at=now, metrics={"predict_time": 1.0})


def wait_until(found: Callable[[], Any], what: str, *, seconds: float = GIVE_UP_SECONDS) -> Any:
    """What `found` finds, as soon as it does; raises TimeoutError."""
    until = time.perf_counter() + seconds
    while not (value := found()):
        if time.perf_counter() > until:
            raise TimeoutError(f"not seen that {what}")
        time.sleep(LOOK_SECONDS)
    return value
