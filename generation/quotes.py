"""A price that was shown holds for an hour: its rules go along with the form, signed, and come back with the request.

Nothing is kept here: whoever holds the token has been quoted, and nobody else can write one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core import signing

from accounts.models import User
from generation import pricing
from generation.catalog.base import ModelSpec
from generation.pricing import Quote

HOLDS_FOR: Final = timedelta(hours=1)
SALT: Final = "generation.quotes"
# A quote of twenty rules has about a thousand characters; nothing longer is looked at.
LONGEST_TOKEN: Final = 8_000


class UnusableQuote(ValueError):
    """The quote does not hold for this request; its text is a sentence for whoever asked."""


class PriceRisen(Exception):
    """The quote no longer holds, and today's price is above it: `shown` and `current` are micro-dollars."""

    def __init__(self, *, shown: int, current: int) -> None:
        super().__init__(shown, current)
        self.shown, self.current = shown, current


@dataclass(frozen=True, kw_only=True)
class Held:
    """The price rules of one model (as `Quote.rules`), as they were shown to one user."""

    user_id: int
    model: str
    rules: list[dict[str, Any]]
    issued_at: datetime

    @property
    def expires_at(self) -> datetime:
        """From then on the prices of the day count again."""
        return self.issued_at + HOLDS_FOR

    @property
    def token(self) -> str:
        """What a form or a program hands back."""
        said = {"u": self.user_id, "m": self.model, "t": int(self.issued_at.timestamp()), "r": self.rules}
        return signing.Signer(salt=SALT).sign_object(said, compress=True)


def hold(*, user: User, spec: ModelSpec, quote: Quote, now: datetime) -> Held:
    """What `quote` says, for this user, from this second on."""
    return Held(user_id=user.pk, model=spec.id, rules=quote.rules, issued_at=now.astimezone(UTC).replace(microsecond=0))


def usable(token: object, *, user: User, spec: ModelSpec, now: datetime) -> Held:
    """The quote that `token` carries, if it holds for this request. Raises `UnusableQuote`."""
    held = _read(token)
    if held is None or held.user_id != user.pk:
        raise UnusableQuote("This is not a quote of yours. Ask for an estimate to get one, or leave it out.")
    if held.model != spec.id:
        raise UnusableQuote(f"This quote is for {held.model}, not for {spec.id}. Ask for another estimate.")
    if held.expires_at <= now:
        raise UnusableQuote("This quote has expired: it holds for an hour. Ask for another estimate.")
    return held


def shown_rules(
    token: object, *, user: User, spec: ModelSpec, inputs: Mapping[str, Any], now: datetime
) -> list[dict[str, Any]] | None:
    """The rules by which a form is to be priced: those it was shown, or None for the day's, where they are no dearer.

    Raises `PriceRisen` when the quote does not hold any more and the same inputs cost more now.
    """
    try:
        return usable(token, user=user, spec=spec, now=now).rules
    except UnusableQuote:
        held = _read(token)
    if held is None or held.model != spec.id:
        return None
    shown = pricing.quote(spec=spec, inputs=inputs, now=now, quoted=held.rules)
    current = pricing.quote(spec=spec, inputs=inputs, now=now)
    if current.amount_micros > shown.amount_micros:
        raise PriceRisen(shown=shown.amount_micros, current=current.amount_micros)
    return current.rules


def _read(token: object) -> Held | None:
    """What we once signed; None for anything else."""
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        return None
    try:
        said = signing.Signer(salt=SALT).unsign_object(token)
    except (signing.BadSignature, UnicodeError):
        return None
    issued_at = datetime.fromtimestamp(said["t"], UTC)
    return Held(user_id=said["u"], model=said["m"], rules=said["r"], issued_at=issued_at)
