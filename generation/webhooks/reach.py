"""Whether the address that the provider is given leads to our door: one unsigned delivery to ourselves."""

import threading
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx
from django.conf import settings

SECONDS: Final = 5.0
PATH: Final = "/api/webhooks/replicate"


@dataclass(frozen=True)
class Answer:
    """What came back: an HTTP status, or 0 where nobody answered; of a redirect the origin that it leads to."""

    status: int = 0
    leads_to: str = ""

    @property
    def redirected(self) -> bool:
        """The provider follows no redirects, and tells nobody of them."""
        return 300 <= self.status < 400


def knock() -> Answer:
    """Ask PUBLIC_URL for what a delivery without a signature is answered, within five seconds, name look-up included.

    400 is our own door's word. The operator named the address, so it may also lie in a network of his own.
    """
    answers: list[Answer] = []
    # A resolver that is out of reach takes longer than every time-out of an HTTP client.
    thread = threading.Thread(target=lambda: answers.append(_post(settings.PUBLIC_URL + PATH)), daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answers[0] if answers else Answer()


def _post(address: str) -> Answer:
    try:
        with (
            httpx.Client(timeout=SECONDS, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", address, content=b"{}", headers={"content-type": "application/json"}) as answer,
        ):
            # The body stays unread: nothing in it would be believed.
            return Answer(answer.status_code, _origin(address, answer.headers.get("location", "")))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError):
        return Answer()


def _origin(address: str, location: str) -> str:
    """scheme://host[:port] of a redirect's target; empty for what is none."""
    try:
        parts = urlsplit(urljoin(address, location[:2000]))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if location and parts.hostname else ""
