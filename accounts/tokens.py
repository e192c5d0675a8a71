"""Bearer tokens: made, by a person or by another token, recognised, taken back."""

import hashlib
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext

from accounts.limits import KEYS, Unit, column
from accounts.models import ApiToken, User
from accounts.models.tokens import SCOPES
from accounts.own_limits import MOST_COUNT, MOST_MICROS
from accounts.periods import PeriodName
from accounts.statements import read

PREFIX = "dp_"
# How much of a token is kept readable, so that its owner can tell one from another.
SHOWN = len(PREFIX) + 8
USE_NOTED_EVERY = timedelta(minutes=1)
MOST_TOKENS = 50
# Counts or micro-dollars; what is not named is not limited.
Limits = Mapping[tuple[PeriodName, Unit], int | None]


class InvalidToken(ValueError):
    """Such a token is not made; `errors` are pairs of a field of `Wanted` and a sentence."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True)
class Wanted:
    """A token as somebody asks for it."""

    name: str
    scopes: Collection[str]
    expires_at: datetime | None = None
    limits: Limits = field(default_factory=dict)


def make_token(*, user: User, wanted: Wanted, now: datetime, maker: ApiToken | None = None) -> tuple[ApiToken, str]:
    """A token for `user`, asked for by the token `maker`, or by the user in person.

    Raises `InvalidToken`, also for one that may do more than its maker.
    """
    with transaction.atomic():
        # One at a time for each user, so that what is counted is not joined by a rival's before it is entered.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        errors = [*_faults(user, wanted, now), *(_excess(wanted, maker) if maker else ())]
        if errors:
            raise InvalidToken(errors)
        return create_token(
            user=user,
            name=wanted.name,
            expires_at=wanted.expires_at,
            now=now,
            scopes=wanted.scopes,
            limits=wanted.limits,
        )


def _faults(user: User, wanted: Wanted, now: datetime) -> Iterator[tuple[str, str]]:
    good = [token for token in ApiToken.objects.filter(user=user, revoked_at=None) if token.is_good(now)]
    if any(token.name == wanted.name for token in good):
        yield "name", gettext("You already have a token called “%(name)s”. Pick another name.") % {"name": wanted.name}
    if len(good) >= MOST_TOKENS:
        yield (
            "name",
            gettext("You have %(count)s tokens. Revoke one that is not needed any more.") % {"count": MOST_TOKENS},
        )
    if not wanted.scopes or set(wanted.scopes) - set(SCOPES):
        yield "scopes", gettext("Choose at least one of %(names)s.") % {"names": ", ".join(SCOPES)}
    if wanted.expires_at is not None and wanted.expires_at <= now:
        yield "expires_at", gettext("A token expires in the future: choose a later moment.")
    for (_, unit), limit in wanted.limits.items():
        if limit is not None and not 0 <= limit <= (MOST_MICROS if unit == "usd" else MOST_COUNT):
            yield "limits", gettext("%(given)s is not a limit.") % {"given": limit}


def _excess(wanted: Wanted, maker: ApiToken) -> Iterator[tuple[str, str]]:
    """What would make the new token more than its maker. Two with one limit each may spend it twice."""
    if beyond := [scope for scope in SCOPES if scope in set(wanted.scopes) - set(maker.scopes)]:
        yield "scopes", f"The token that asks has not got {' and '.join(beyond)} itself."
    if "generate" in wanted.scopes and any(getattr(maker, column(*key)) is not None for key in KEYS):
        yield "scopes", "The token that asks has limits of its own, so it makes none that may generate."
    if maker.expires_at is not None and (wanted.expires_at is None or wanted.expires_at > maker.expires_at):
        yield "expires_at", "The token that asks expires earlier itself."


def create_token(
    *,
    user: User,
    name: str,
    expires_at: datetime | None,
    now: datetime,
    scopes: Collection[str] = SCOPES,
    limits: Limits | None = None,
) -> tuple[ApiToken, str]:
    """The row, and the token itself: 256 random bits that are stored nowhere and cannot be shown again."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken.objects.create(
        user=user,
        name=name,
        prefix=token[:SHOWN],
        digest=digest_of(token),
        scopes=[scope for scope in SCOPES if scope in scopes],
        created_at=now,
        expires_at=expires_at,
        **{column(*key): limit for key, limit in (limits or {}).items()},
    )
    return row, token


def verify(token: str, *, now: datetime) -> ApiToken | None:
    """The row of a token that is good at `now`, its user loaded; None when unknown, revoked, expired or inactive."""
    found: list[ApiToken] = read(ApiToken, {"digest": digest_of(token)}, joined="user")
    row = found[0] if found else None
    if row is None or not row.user.is_active or not row.is_good(now):
        return None
    _note_use(row, now)
    return row


def revoke(token: ApiToken, *, now: datetime) -> None:
    """Refused from the next request on; revoking twice keeps the first moment."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now)


def digest_of(token: str) -> str:
    """SHA-256 in hex. Unsalted and fast is right for 256 random bits: there is nothing to guess."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _note_use(row: ApiToken, now: datetime) -> None:
    """At most one write a minute for each token, however many requests and processes there are."""
    before = now - USE_NOTED_EVERY
    if row.last_used_at is None or row.last_used_at <= before:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=before)
        ApiToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
