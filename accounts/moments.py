"""Moments as programs read them: ISO 8601 in UTC, with a Z."""

from datetime import UTC, datetime
from typing import overload


@overload
def moment(at: datetime) -> str: ...
@overload
def moment(at: datetime | None) -> str | None: ...
def moment(at: datetime | None) -> str | None:
    """`at`, whatever its time zone; None stays None."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
