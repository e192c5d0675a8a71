"""Whether a delivery was signed by the provider: the Standard Webhooks scheme over the raw bytes.

https://replicate.com/docs/topics/webhooks/verify-webhook. The signature covers `id.timestamp.body`, not the address.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
MOST_SIGNATURES: Final = 32
LONGEST_HEADER: Final = 8192


class NotSigned(Exception):
    """Missing, malformed, forged or too old: the delivery is nobody's."""


def verify(*, body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> str:
    """The delivery's id, when one of `secrets` (`whsec_…`) signed exactly these bytes within five minutes."""
    given = {name: headers.get(name, "") for name in HEADERS}
    if not all(given.values()) or any(len(value) > LONGEST_HEADER for value in given.values()):
        raise NotSigned("headers")
    # The library refuses the whole header for one entry without a comma; a good one may stand beside it.
    entries = [entry for entry in given["webhook-signature"].split(" ") if "," in entry][:MOST_SIGNATURES]
    given["webhook-signature"] = " ".join(entries)
    if not any(_signed_by(secret, body, given) for secret in secrets):
        raise NotSigned("signature")
    return given["webhook-id"]


def _signed_by(secret: str, body: bytes, given: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, given)
    except (WebhookVerificationError, ValueError, OverflowError, OSError, TypeError, RecursionError):
        # ValueError covers what the library lets through on hostile input: bodies that are not UTF-8 or not JSON,
        # odd base64; OverflowError and OSError timestamps beyond the calendar; RecursionError arrays in arrays.
        return False
    return True
