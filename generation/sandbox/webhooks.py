"""Signed webhooks by the Standard Webhooks scheme; only the last one of a prediction is tried again."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import queue
import secrets
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from generation.sandbox.state import Store, StoreClosed, new_id, now

EVENTS = ("start", "output", "logs", "completed")
DEFAULT_EVENTS = ["output", "completed"]
RETRIED_FOR_SECONDS = 60.0
FIRST_RETRY_SECONDS = 0.5
ANSWER_WITHIN_SECONDS = 10.0
SENDERS = 8
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def new_secret() -> str:
    """A fresh `whsec_…`."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def sign(*, secret: str, id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header of one attempt (https://replicate.com/docs/topics/webhooks/verify-webhook)."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def is_acceptable(url: str) -> bool:
    """https to anywhere, or plain http to this very machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


class Courier:
    """Sends deliveries when they are due; those of one prediction in their order, one at a time."""

    def __init__(self, store: Store, secret: str, at: Callable[[float, Callable[[], None]], None]) -> None:
        self.store, self.secret, self.at = store, secret, at
        self.queues: list[queue.SimpleQueue[dict[str, Any] | None]] = [queue.SimpleQueue() for _ in range(SENDERS)]
        self.threads = [
            threading.Thread(target=self.run, args=(line,), name="sandbox-courier", daemon=True) for line in self.queues
        ]

    def start(self) -> None:
        """Begin, with what was left over."""
        for thread in self.threads:
            thread.start()
        for delivery in self.store.deliveries():
            self.plan(delivery)

    def stop(self) -> None:
        """Send nothing more; what is pending stays in the store."""
        for line in self.queues:
            line.put(None)

    def send(
        self, *, prediction: str, event: str, url: str, body: str, fault: Mapping[str, Any], wait: float = 0.0
    ) -> None:
        """Take one event's delivery, `wait` seconds from now; faults may drop, delay or double it."""
        drop = fault.get("drop", False)
        if drop is True or (isinstance(drop, list) and event in drop):
            self.store.write_log("webhook", prediction=prediction, event=event, url=url, dropped=True)
            return
        message = new_id("msg_")
        moment = now() + wait + float(fault.get("delay", 0))
        for _ in range(int(fault.get("copies", 1))):
            delivery = {
                "key": new_id(),
                "id": message,
                "prediction": prediction,
                "event": event,
                "url": url,
                "body": body,
                "attempt": 1,
                "due_at": moment,
                "give_up_at": moment + RETRIED_FOR_SECONDS if event == "completed" else moment,
                "fault": {name: fault[name] for name in ("signature", "age_seconds") if name in fault},
            }
            self.store.keep_delivery(delivery)
            self.plan(delivery)

    def plan(self, delivery: dict[str, Any]) -> None:
        """Put a delivery into its prediction's line, at once or at its time."""
        line = self.queues[zlib.crc32(delivery["prediction"].encode()) % SENDERS]
        if delivery["due_at"] <= now():
            line.put(delivery)
        else:
            self.at(delivery["due_at"], lambda: line.put(delivery))

    def run(self, line: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
        """One sender's life."""
        with contextlib.suppress(StoreClosed):
            while (delivery := line.get()) is not None:
                self.attempt(delivery)

    def attempt(self, delivery: dict[str, Any]) -> None:
        """Send once; forget it when it was taken or is given up, else plan the next try."""
        if not self.store.has_delivery(delivery["key"]):
            return
        status, error = self.post(delivery)
        taken = status is not None and 200 <= status < 300
        again = now() + FIRST_RETRY_SECONDS * 2 ** (delivery["attempt"] - 1)
        final = taken or again > delivery["give_up_at"]
        self.store.write_log(
            "webhook",
            prediction=delivery["prediction"],
            event=delivery["event"],
            id=delivery["id"],
            url=delivery["url"],
            attempt=delivery["attempt"],
            status=status,
            error=error,
            gave_up=final and not taken,
        )
        if final:
            self.store.drop_delivery(delivery["key"])
            return
        delivery = {**delivery, "attempt": delivery["attempt"] + 1, "due_at": again}
        self.store.keep_delivery(delivery)
        self.plan(delivery)

    def post(self, delivery: Mapping[str, Any]) -> tuple[int | None, str]:
        """The receiver's status, or None and what went wrong. Redirects are not followed."""
        parts = urlsplit(delivery["url"])
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=ANSWER_WITHIN_SECONDS, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_WITHIN_SECONDS)
        body = delivery["body"].encode()
        try:
            connection.request("POST", path, body=body, headers=self.headers(delivery, body))
            answer = connection.getresponse()
            answer.read(65536)
            return answer.status, ""
        except (OSError, ValueError, http.client.HTTPException) as error:
            return None, f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def headers(self, delivery: Mapping[str, Any], body: bytes) -> dict[str, str]:
        """The id stays over retries, the timestamp is the attempt's; faults may age or spoil the signature."""
        fault = delivery["fault"]
        timestamp = int(now() - float(fault.get("age_seconds", 0)))
        secret = new_secret() if fault.get("signature") == "wrong" else self.secret
        headers = {
            "content-type": "application/json",
            "user-agent": "sandbox",
            "webhook-id": delivery["id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secret=secret, id=delivery["id"], timestamp=timestamp, body=body),
        }
        if fault.get("signature") == "missing":
            del headers["webhook-signature"]
        return headers
