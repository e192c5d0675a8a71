"""The only module that speaks Replicate (https://replicate.com/docs/reference/http), on the `replicate` package.

Of the package only `Client._request` is used: its create has no timeout, its models raise on `aborted`, its errors
drop `retry_after` and `invalid_fields`, and its retries sleep as long as a header says.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

import httpx
from replicate.client import Client

from generation.providers.answers import read_prediction
from generation.providers.base import AnswerLost, Budget, NotFound, ProviderPrediction, RateLimited
from generation.providers.transport import OnceTransport

__all__ = ["ReplicateProvider", "read_prediction"]

TIMEOUT: Final = httpx.Timeout(connect=5, read=30, write=30, pool=5)
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_PAGES: Final = 200
# A page of the list holds a hundred predictions with their whole inputs and logs.
MOST_PAGE_BYTES: Final = 32 * 1024 * 1024
# Replicate advises data URIs up to 256 kB, but what is sent inline comes back in every page of the list and in every
# webhook; an upload's address does not, and it makes the input its own, by which a lost create is found again.
INLINE_BYTES: Final = 8 * 1024
EVENTS: Final = ("start", "completed")
# Where a 429 does not say how long it lasts.
PAUSE_SECONDS: Final = 10.0
# Some models take a file's type from the end of its name.
EXTENSIONS: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
}


class ReplicateProvider:
    """An account at Replicate or at anything that speaks its API; see `generation.providers.base.Provider`.

    Safe to share between threads; made once per process. Every call but a create takes its room from `budget`.
    """

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        token: str,
        budget: Budget | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        answer_seconds: float = 60,
        most_bytes: int = MOST_BYTES,
        most_pages: int = MOST_PAGES,
        connections: int = 100,
    ) -> None:
        self.name = name
        self._budget = budget
        self._base_url = base_url
        self._timeout = timeout
        self._most_pages = most_pages
        self._ahead = timedelta()
        self._client = Client(
            api_token=token,
            base_url=base_url,
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
            transport=OnceTransport(most_bytes=most_bytes, answer_seconds=answer_seconds, connections=connections),
            trust_env=False,
            follow_redirects=False,
        )
        # Built lazily and without a lock: built here, before threads share it.
        _ = self._client._client

    def create(
        self, *, model: str, input: Mapping[str, Any], cancel_after_seconds: int, webhook: str | None
    ) -> ProviderPrediction:
        """One paid create of an official model; never repeated here."""
        body: dict[str, Any] = {"input": dict(input)}
        if webhook:
            body |= {"webhook": webhook, "webhook_events_filter": list(EVENTS)}
        headers = {"Cancel-After": f"{cancel_after_seconds}s"}
        raw = self._call("POST", f"{_model_path(model)}/predictions", json=body, headers=headers)
        return _prediction(raw, "the create")

    def get(self, provider_id: str) -> ProviderPrediction:
        """The prediction as it is now."""
        # As roomy as a page of the list: an answer that is refused here keeps a paid output from us.
        raw = self._ask("GET", _prediction_path(provider_id), extensions={"most_bytes": MOST_PAGE_BYTES})
        return _prediction(raw, "the look-up", expected=provider_id)

    def cancel(self, provider_id: str) -> ProviderPrediction:
        """Ask for its end; the answer may still be unfinished."""
        raw = self._ask("POST", f"{_prediction_path(provider_id)}/cancel")
        return _prediction(raw, "the cancel", expected=provider_id)

    def list_since(self, created_after: datetime) -> Iterator[ProviderPrediction]:
        """All predictions created after then, newest first; raises rather than end before the list does."""
        since = created_after.astimezone(UTC).isoformat().replace("+00:00", "Z")
        path = f"/v1/predictions?created_after={quote(since)}"
        seen: set[str] = set()
        while path:
            if path in seen or len(seen) >= self._most_pages:
                raise AnswerLost(f"the list of predictions did not end within {len(seen)} pages")
            seen.add(path)
            page = self._ask("GET", path, extensions={"most_bytes": MOST_PAGE_BYTES})
            results = page.get("results")
            if not isinstance(results, list):
                raise AnswerLost("a page of the list of predictions has no results")
            for raw in results:
                yield _prediction(raw, "the list of predictions")
            path = self._path_of_next(page.get("next"))

    def _path_of_next(self, address: Any) -> str:
        """Replicate names the next page by a whole address; it is followed to the origin that has our token only."""
        if address is None or address == "":
            return ""
        if not isinstance(address, str) or _origin(address) != _origin(self._base_url):
            raise AnswerLost("the list of predictions goes on at another origin")
        parts = urlsplit(address)
        return f"{parts.path}?{parts.query}"

    def upload(self, *, name: str, content_type: str, file: IO[bytes]) -> str:
        """Hand a file over; kept there for a day. Returns the address to name in an input."""
        filename = _file_name(name, content_type)
        raw = self._ask(
            "POST",
            "/v1/files",
            files={"content": (filename, file, content_type)},
            data={"filename": filename, "type": content_type},
        )
        urls = raw.get("urls")
        address = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(address, str) or not address.startswith(("https://", f"{self._base_url}/")):
            raise AnswerLost("the upload was answered without an address")
        return address

    def as_input(self, *, name: str, content_type: str, file: IO[bytes], size_bytes: int) -> str:
        """What to name in an input for this file: itself as a data: URI when it is small, else an upload's address."""
        if size_bytes > INLINE_BYTES:
            return self.upload(name=name, content_type=content_type, file=file)
        content = file.read(size_bytes + 1)
        return f"data:{content_type};base64,{base64.b64encode(content).decode()}"

    def webhook_secret(self) -> str:
        """The account's `whsec_…`."""
        key = self._ask("GET", "/v1/webhooks/default/secret").get("key")
        if not isinstance(key, str) or not key.startswith("whsec_"):
            raise AnswerLost("the webhook secret was answered in another form")
        return key

    def offers(self, model: str) -> bool:
        """Whether the model can be run there today."""
        try:
            self._ask("GET", _model_path(model))
        except NotFound:
            return False
        return True

    def check_account(self) -> None:
        """The cheapest authenticated call; raises when the token is refused."""
        self._ask("GET", "/v1/account")

    def _ask(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """One request within the budget; a 429 is everybody's."""
        if self._budget is None:
            return self._call(method, path, **kwargs)
        self._budget.take()
        try:
            return self._call(method, path, **kwargs)
        except RateLimited as error:
            self._budget.pause(error.retry_after or PAUSE_SECONDS)
            raise

    def _call(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        """One request; the transport has raised for everything that is not a JSON object with a 2xx."""
        answer: httpx.Response = self._client._request(method, path, timeout=self._timeout, **kwargs)
        self._note_clock(answer.headers.get("date", ""))
        content: dict[str, Any] = answer.json()
        return content

    def now(self) -> datetime:
        """The provider's own time, by its last answer to this process; ours where it has told none."""
        return datetime.now(UTC) + self._ahead

    def _note_clock(self, date: str) -> None:
        with suppress(ValueError, TypeError, OverflowError):
            at = parsedate_to_datetime(date)
            self._ahead = at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)


def _prediction(raw: Any, what: str, *, expected: str = "") -> ProviderPrediction:
    try:
        found = read_prediction(raw)
    except TypeError:
        raise AnswerLost(f"{what} was answered without a prediction") from None
    if not found.id or (expected and found.id != expected):
        raise AnswerLost(f"{what} was answered without the prediction's id")
    return found


def _model_path(model: str) -> str:
    owner, _, name = model.partition("/")
    return f"/v1/models/{quote(owner, safe='')}/{quote(name, safe='')}"


def _prediction_path(provider_id: str) -> str:
    return f"/v1/predictions/{quote(provider_id, safe='')}"


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _file_name(name: str, content_type: str) -> str:
    """ASCII, short, and with the extension of its type."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name.rpartition("/")[2].rsplit(".", 1)[0]).strip("-")[:80]
    return f"{stem or 'reference'}{EXTENSIONS.get(content_type, '')}"
