"""Whether a delivery was signed by the provider: the Standard Webhooks scheme over the raw bytes.

https://replicate.com/docs/topics/webhooks/verify-webhook. The signature covers `id.timestamp.body`, not the address.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
MOST_SIGNATURES: Final = 32
LONGEST_HEADER: Final = 8192
# What the library allows between the timestamp and our clock.
TOLERANCE_SECONDS: Final = 300
# ValueError covers what the library lets through on hostile input: bodies that are not UTF-8 or not JSON, odd base64;
# OverflowError and OSError timestamps beyond the calendar; RecursionError arrays in arrays.
UNREADABLE: Final = (WebhookVerificationError, ValueError, OverflowError, OSError, TypeError, RecursionError)


class NotSigned(Exception):
    """Missing, malformed, forged or too old: the delivery is nobody's."""


class OutOfTime(NotSigned):
    """Rightly signed, but `seconds` before our now (negative: after it): a wrong clock, or a delivery repeated."""

    def __init__(self, seconds: float) -> None:
        super().__init__("timestamp")
        self.seconds = seconds


def verify(*, body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> str:
    """The delivery's id, when one of `secrets` (`whsec_…`) signed exactly these bytes within five minutes.

    Raises `OutOfTime` when one of them did so at another time, and `NotSigned`.
    """
    given = {name: headers.get(name, "") for name in HEADERS}
    if not all(given.values()) or any(len(value) > LONGEST_HEADER for value in given.values()):
        raise NotSigned("headers")
    # The library refuses the whole header for one malformed entry; a good one may stand beside it.
    entries = [entry for entry in given["webhook-signature"].split(" ") if "," in entry][:MOST_SIGNATURES]
    given["webhook-signature"] = " ".join(entries)
    if any(_signed_by(secret, body, given, entry) for secret in secrets for entry in entries):
        return given["webhook-id"]
    seconds = _age_seconds(given["webhook-timestamp"])
    if abs(seconds) > TOLERANCE_SECONDS and any(_signed_then(secret, body, given) for secret in secrets):
        raise OutOfTime(seconds)
    raise NotSigned("signature")


def _signed_by(secret: str, body: bytes, given: dict[str, str], entry: str) -> bool:
    try:
        Webhook(secret).verify(body, given | {"webhook-signature": entry})
    except UNREADABLE:
        return False
    return True


def _age_seconds(timestamp: str) -> float:
    """How long ago it was sent by our clock; 0 for what is no time."""
    try:
        return (datetime.now(UTC) - datetime.fromtimestamp(float(timestamp), UTC)).total_seconds()
    except UNREADABLE:
        return 0.0


def _signed_then(secret: str, body: bytes, given: dict[str, str]) -> bool:
    """Whether the signature is right for the time that the delivery names."""
    try:
        then = datetime.fromtimestamp(float(given["webhook-timestamp"]), UTC)
        wanted = Webhook(secret).sign(given["webhook-id"], then, body.decode()).encode()
        return any(compare_digest(wanted, entry.encode()) for entry in given["webhook-signature"].split(" "))
    except UNREADABLE:
        return False
