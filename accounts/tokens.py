"""Bearer tokens: made, recognised, taken back."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q

from accounts.models import ApiToken, User
from accounts.models.tokens import SCOPES

PREFIX = "dp_"
# How much of a token is kept readable, so that its owner can tell one from another.
SHOWN = len(PREFIX) + 8
USE_NOTED_EVERY = timedelta(minutes=1)


def create_token(
    *, user: User, name: str, expires_at: datetime | None, now: datetime, scopes: Collection[str] = SCOPES
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
    )
    return row, token


def verify(token: str, *, now: datetime) -> ApiToken | None:
    """The row of a token that is good at `now`, its user loaded; None when unknown, revoked, expired or inactive."""
    row = ApiToken.objects.select_related("user").filter(digest=digest_of(token)).first()
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
