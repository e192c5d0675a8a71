"""What the tests of this floor are about: users, reservations, moments."""

import uuid
from datetime import UTC, datetime
from typing import Any

from accounts import quotas
from accounts.models import ApiToken, LedgerEntry, User
from accounts.tokens import create_token

NOON = datetime(2026, 7, 16, 12, tzinfo=UTC)


def make_user(username: str = "ines", **fields: Any) -> User:
    """A creator with a password; limits as the fields say, else the installation's own."""
    return User.objects.create_user(
        username=username, email=fields.pop("email", f"{username}@example.org"), password="correct horse", **fields
    )


def hold(user: User, amount_micros: int = 39_000, **fields: Any) -> LedgerEntry:
    """One reservation at the real provider at noon, unless told otherwise."""
    details: dict[str, Any] = {
        "reference": uuid.uuid4(),
        "provider": "replicate",
        "model": "google/nano-banana",
        "now": NOON,
    }
    entry, _ = quotas.reserve(user=user, amount_micros=amount_micros, **(details | fields))
    return entry


def make_token(user: User, *, name: str = "ci", **limits: int) -> ApiToken:
    """A token of the user's with these limits and no others."""
    row, _ = create_token(user=user, name=name, expires_at=None, now=NOON)
    ApiToken.objects.filter(pk=row.pk).update(**limits)
    row.refresh_from_db()
    return row
