"""Parts of pages that rows alone decide: each state of them is rendered once in a process.

Nothing here can be stale or another's: what is kept is found by every column of its rows, as they were just read, by
what else was given, and by the time zone. So it may show no clock, no form's token and no address that expires, and
nothing that a row only leads to.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.cache import caches
from django.db.models import Model
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

KEPT: Final = "fragments"


def fragment(template: str, decided_by: Iterable[Any], context: Mapping[str, Any], **given: Any) -> SafeString:
    """`template` with `context` and what is `given`: shows what `decided_by` and `given` hold, and nothing else.

    What decides are rows, and other values that `repr` tells apart. Raises KeyError for a row of which not all was
    read: what was left out could be shown, and is not known.
    """
    held = [_columns(one) if isinstance(one, Model) else one for one in decided_by]
    state = repr((template, held, given, timezone.get_current_timezone_name()))
    key, kept = hashlib.blake2b(state.encode(), digest_size=32).hexdigest(), caches[KEPT]
    html: SafeString | None = kept.get(key)
    if html is None:
        html = render_to_string(template, {**context, **given})
        kept.set(key, html)
    return html


def _columns(row: Model) -> list[Any]:
    held = vars(row)
    return [held[column.attname] for column in row._meta.concrete_fields]
