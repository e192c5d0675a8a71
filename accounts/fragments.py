"""Parts of pages that rows alone decide: each state of them is rendered once in a process.

Nothing here can be stale or another's: what is kept is found by every column of its rows, as they were just read, by
what else was given, and by the time zone. So it may show no clock, no form's token and no address that expires.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.db.models import Model
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

MOST_KEPT: Final = 512


@dataclass(frozen=True)
class _State:
    template: str
    rows: str
    given: tuple[tuple[str, Hashable], ...]
    zone: str
    context: Mapping[str, Any] = field(compare=False)


def fragment(template: str, rows: Iterable[Model], context: Mapping[str, Any], **given: Hashable) -> SafeString:
    """`template` with `context`, which shows what `rows` hold and nothing else, and with what else is `given`."""
    state = _State(
        template,
        repr([_columns(row) for row in rows]),
        tuple(given.items()),
        timezone.get_current_timezone_name(),
        context,
    )
    # While templates are being written the newest is shown.
    return _rendered.__wrapped__(state) if settings.DEBUG else _rendered(state)


def _columns(row: Model) -> list[Any]:
    """What was read of the row; a column that was not cannot be shown."""
    held = vars(row)
    return [held.get(column.attname) for column in row._meta.concrete_fields]


@lru_cache(maxsize=MOST_KEPT)
def _rendered(state: _State) -> SafeString:
    return render_to_string(state.template, {**state.context, **dict(state.given)})
