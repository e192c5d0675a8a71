"""Pages by keyset: newest first, each page starting where the last ended, however much was added meanwhile."""

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request

MOST_ON_A_PAGE = 100
Row = TypeVar("Row", bound=Model)


class PageQuery(serializers.Serializer[Any]):
    """The query parameters of every list; a list's own filters are added by a subclass."""

    cursor = serializers.CharField(required=False, max_length=400)
    page_size = serializers.IntegerField(required=False, default=20, min_value=1, max_value=MOST_ON_A_PAGE)

    @classmethod
    def of(cls, request: Request) -> dict[str, Any]:
        """The valid parameters of `request`; raises `ValidationError` (422)."""
        query = cls(data=request.query_params)
        query.is_valid(raise_exception=True)
        data: dict[str, Any] = query.validated_data
        return data

    def validate_cursor(self, value: str) -> "Cursor":
        """Only what an earlier page has handed out."""
        try:
            return Cursor.read(value)
        except ValueError:
            raise serializers.ValidationError("This cursor is not one that a list has handed out.") from None


@dataclass(frozen=True)
class Cursor:
    """A place between two rows: what is older than (`at`, `id`), or with `newer` what is newer."""

    at: datetime
    id: uuid.UUID
    newer: bool = False

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises ValueError."""
        try:
            plain = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
            direction, at, row_id = plain.split("|")
            moment = datetime.fromisoformat(at).astimezone(UTC)
        except (binascii.Error, UnicodeError, OverflowError) as error:
            raise ValueError(text) from error
        if direction not in ("older", "newer"):
            raise ValueError(text)
        return cls(moment, uuid.UUID(row_id), direction == "newer")

    def __str__(self) -> str:
        plain = f"{'newer' if self.newer else 'older'}|{self.at.isoformat()}|{self.id}"
        return base64.urlsafe_b64encode(plain.encode()).decode()

    @classmethod
    def beside(cls, row: Any, *, newer: bool = False) -> "Cursor":
        """The place before or after a row."""
        return cls(row.created_at, row.pk, newer)


def page(
    request: Request,
    rows: QuerySet[Row],
    query: Mapping[str, Any],
    shown: Callable[[Sequence[Row]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """`{next, previous, results}` of `rows`, which have `created_at` and a UUID; `query` is a valid `PageQuery`.

    No count is made: it would grow with the table, and be wrong by the time it is read.
    """

    def fetch(cursor: Cursor | None, newer: bool, most: int) -> list[Row]:
        order = ("created_at", "pk") if newer else ("-created_at", "-pk")
        return list((rows.filter(beyond(cursor)) if cursor else rows).order_by(*order)[:most])

    return page_of(request, fetch, query, shown)


def page_of(
    request: Request,
    fetch: Callable[["Cursor | None", bool, int], list[Row]],
    query: Mapping[str, Any],
    shown: Callable[[Sequence[Row]], list[dict[str, Any]]],
) -> dict[str, Any]:
    """The same of what `fetch` finds beyond a cursor: so many at most, the newest first or the oldest."""
    size, cursor = query["page_size"], query.get("cursor")
    newer = cursor is not None and cursor.newer
    found = fetch(cursor, newer, size + 1)
    more, found = len(found) > size, found[:size]
    if newer:
        found.reverse()
    has_older, has_newer = (True, more) if newer else (more, cursor is not None)
    return {
        "next": address(request, Cursor.beside(found[-1])) if found and has_older else None,
        "previous": address(request, Cursor.beside(found[0], newer=True)) if found and has_newer else None,
        "results": shown(found),
    }


class NamePageQuery(PageQuery):
    """The same for lists that go by name."""

    def validate_cursor(self, value: str) -> str:  # type: ignore[override]  # a name is the place here
        """The name behind which the page begins."""
        try:
            name = base64.b64decode(value.encode("ascii"), altchars=b"-_", validate=True).decode()
        except (binascii.Error, UnicodeError):
            name = ""
        if not name or "\0" in name:
            raise serializers.ValidationError("This cursor is not one that a list has handed out.")
        return name


def page_by_name(
    request: Request,
    fetch: Callable[[str, int], list[dict[str, Any]]],
    query: Mapping[str, Any],
) -> dict[str, Any]:
    """`{next, previous, results}` of what `fetch` finds behind a name: so many at most, each with its `name`.

    Names are read forward alone, so `previous` is always null.
    """
    size = query["page_size"]
    found = fetch(query.get("cursor", ""), size + 1)
    shown, more = found[:size], len(found) > size
    place = base64.urlsafe_b64encode(shown[-1]["name"].encode()).decode() if more else ""
    return {"next": address(request, place) if more else None, "previous": None, "results": shown}


def beyond(cursor: Cursor) -> Q:
    """What lies on the cursor's side; the first condition is the one that an index can start from."""
    if cursor.newer:
        return Q(created_at__gte=cursor.at) & (Q(created_at__gt=cursor.at) | Q(pk__gt=cursor.id))
    return Q(created_at__lte=cursor.at) & (Q(created_at__lt=cursor.at) | Q(pk__lt=cursor.id))


def address(request: Request, cursor: Cursor | str) -> str:
    """This list's address with the same filters, at `cursor`."""
    kept = [(name, value) for name, value in request.query_params.items() if name != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*kept, ('cursor', cursor)])}")
