"""Which assets a filter leaves: one reading for the page and for the API."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from gallery.models import AssetQuerySet

LONGEST_QUERY = 200


def narrowed(rows: AssetQuerySet, filters: Mapping[str, Any]) -> AssetQuerySet:
    """Those of `rows` that fit every filter given: kind, origin, model, tag, category, favourite, q."""
    for name in ("kind", "origin", "model", "category"):
        if filters.get(name):
            rows = rows.filter(**{name: filters[name]})
    if filters.get("tag"):
        rows = rows.filter(tags__name=filters["tag"])
    if filters.get("favourite") is not None:
        rows = rows.filter(favourite=filters["favourite"])
    for word in filters.get("q", "").split():
        rows = rows.filter(Q(prompt__icontains=word) | Q(title__icontains=word))
    return rows
