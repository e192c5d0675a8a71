"""Deliveries as the provider sends them, carried to running web processes: true, late, doubled or forged."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests

from generation.models import Attempt, Prediction
from generation.sandbox.presentation import prediction_json
from generation.sandbox.state import new_id
from generation.sandbox.webhooks import sign
from generation.tests.torture.scene import Scene
from generation.tests.torture.surroundings import Web

PATH = "/api/webhooks/replicate"
# What the provider has not to say of a run that goes on.
OF_THE_END = frozenset({"output", "completed_at", "metrics"})
T = TypeVar("T")


@dataclass(frozen=True)
class Delivery:
    """One request of the provider's: the address without its origin, the bytes, and the headers over them."""

    address: str
    body: bytes
    headers: dict[str, str]

    def to(self, web: Web, *, method: str = "POST") -> int:
        """Knock there; the status of the answer."""
        answer = requests.request(
            method, web.url + self.address, data=self.body, headers=self.headers, timeout=90, allow_redirects=False
        )
        return answer.status_code

    def under(self, **headers: str) -> "Delivery":
        """The same with other headers; `webhook_id` becomes `webhook-id`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers=self.headers | named)


def signed(
    body: bytes,
    *,
    secret: str,
    address: str = PATH,
    message: str = "",
    at: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Delivery:
    """Any bytes, signed by the scheme for the moment `at` (seconds since 1970, now where left out)."""
    message, moment = message or new_id("msg_"), int(time.time() if at is None else at)
    named = {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(moment),
        "webhook-signature": sign(secret=secret, id=message, timestamp=moment, body=body),
    }
    return Delivery(address, body, {**named, **(headers or {})})


def news(scene: Scene, prediction: Prediction, word: str = "", *, made: str = "", **fields: Any) -> Delivery:
    """What the provider would tell of a prediction now; `word` in place of its state, `fields` in place of others.

    `made` is its id at the provider where the attempt does not know it. Raises KeyError while there is none.
    """
    attempt = newest_attempt(prediction)
    item = scene.sandbox.prediction(made or attempt.provider_id or "")
    body = prediction_json(item, base=scene.sandbox.url, now=time.time())
    if word in {"starting", "processing"}:
        body = {name: value for name, value in body.items() if name not in OF_THE_END}
    body |= ({"status": word} if word else {}) | fields
    return signed(json.dumps(body).encode(), secret=scene.sandbox.secret, address=address_of(attempt))


def address_of(attempt: Attempt) -> str:
    """Where the provider was asked to tell of an attempt, without the origin."""
    return f"{PATH}?{urlencode({'prediction': attempt.prediction_id, 'token': attempt.address_token})}"


def newest_attempt(prediction: Prediction) -> Attempt:
    """The one under way."""
    return Attempt.objects.filter(prediction=prediction).order_by("-number")[0]


def sent(scene: Scene, *abouts: str, done: bool = True, **fault: Any) -> list[Prediction]:
    """Requests that a worker has sent, which is gone again, to a provider that tells nobody; there they are `done`."""
    hushed = {"webhooks": {"drop": True}, "seconds": {"queue": 0.3, "run": 0.3}}
    scene.sandbox.add_fault({**hushed, **fault}, times=None)
    asked = [scene.ask(about) for about in abouts or ("a lake",)]
    scene.worker(lanes="submit", MAX_IN_FLIGHT_PER_USER="100")
    scene.wait(lambda: all(scene.rests(prediction, "starting") for prediction in asked))
    scene.stop_workers()
    if done:
        scene.sandbox.wait_until(lambda: all(item.ended for item in scene.sandbox.predictions()))
    return asked


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What the calls answer that are all made in the same moment."""
    gate = threading.Barrier(len(calls))

    def make(call: Callable[[], T]) -> T:
        gate.wait(90)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))
