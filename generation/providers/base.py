"""What a provider is to us: its calls, one normal form of what it says, and one tree of what can go wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Protocol


@dataclass(frozen=True, kw_only=True)
class ProviderPrediction:
    """A prediction as the provider reports it, whole or in part; words it has never said before survive.

    `status` is the provider's own word. `output` is its raw value: a string, a list, an object or None.
    `metrics` holds billing figures (`predict_time` in seconds, `image_output_count`, …).
    """

    id: str
    status: str
    model: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    error: str = ""
    logs: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data_removed: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deadline: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


class ProviderError(Exception):
    """Anything that kept a call from its answer. The text is for logs and administrators."""


class NotSent(ProviderError):
    """The request never left: refused connection, unresolved name, failed handshake. Safe to send again."""


class OverBudget(ProviderError):
    """Not asked: the installation's own budget of calls is used up. The next one may leave at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"no call may leave before {until:%F %T}")
        self.until = until


class AnswerLost(ProviderError):
    """Sent, but no answer of the provider's own came back; a create may or may not have happened.

    `status` is the HTTP status of what came instead, 0 where nothing did.
    """

    def __init__(self, detail: str, *, status: int = 0) -> None:
        super().__init__(detail)
        self.status = status


class Refused(ProviderError):
    """A clean refusal in the provider's own JSON: nothing was created.

    `status` is the HTTP status, `retry_after` in seconds where the provider named one.
    """

    def __init__(self, detail: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


class InputRefused(Refused):
    """400 or 422: final. `invalid_fields` maps the provider's field names to its descriptions."""

    def __init__(self, detail: str, *, status: int, invalid_fields: Mapping[str, str]) -> None:
        super().__init__(detail, status=status)
        self.invalid_fields = invalid_fields


class NotFound(Refused):
    """404: the model or prediction does not exist there."""


class Unauthenticated(Refused):
    """401 or 403: the token is not accepted."""


class NoCredit(Refused):
    """402: the owner's credit ran out. Never a user's error."""


class RateLimited(Refused):
    """429. `per_minute` is the rate that an account low on credit is held to, where the answer says that it is."""

    def __init__(
        self, detail: str, *, status: int, retry_after: float | None = None, per_minute: int | None = None
    ) -> None:
        super().__init__(detail, status=status, retry_after=retry_after)
        self.per_minute = per_minute


class Unavailable(Refused):
    """5xx with the provider's own JSON body: not accepted."""


class Budget(Protocol):
    """What may be asked of a provider beside creates, by all processes together."""

    def take(self) -> None:
        """Room for one call; raises `OverBudget`."""

    def pause(self, seconds: float) -> None:
        """The provider wants to be left alone for so long."""


class Provider(Protocol):
    """One account at one provider. Every call has a timeout, sleeps nowhere and retries nothing.

    All raise the errors above, creates never `OverBudget`. A prediction returned by `create` may already be terminal.
    """

    name: str

    def create(
        self, *, model: str, input: Mapping[str, Any], cancel_after_seconds: int, webhook: str | None
    ) -> ProviderPrediction:
        """One paid create, with `Cancel-After` and, where `webhook` is given, events start and completed."""

    def get(self, provider_id: str) -> ProviderPrediction:
        """The prediction as it is now."""

    def cancel(self, provider_id: str) -> ProviderPrediction:
        """Ask for its end; the answer may still be unfinished."""

    def list_since(self, created_after: datetime) -> Iterator[ProviderPrediction]:
        """All predictions created after then, newest first, page by page; complete or an error."""

    def upload(self, *, name: str, content_type: str, file: IO[bytes]) -> str:
        """Hand a reference file to the provider; returns the address to name in an input."""

    def as_input(self, *, name: str, content_type: str, file: IO[bytes], size_bytes: int) -> str:
        """What to name in an input for this file: a data: URI of a small one, else the address of an upload."""

    def webhook_secret(self) -> str:
        """The account's `whsec_…`."""

    def now(self) -> datetime:
        """The provider's own time, by its last answer to this process; ours where it has told none."""

    def offers(self, model: str) -> bool:
        """Whether the model can be run there today."""

    def check_account(self) -> None:
        """The cheapest authenticated call; raises when the token is refused."""
