"""Putting assets aside, and taking them out again."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.models import User
from gallery.documents import write_documents
from gallery.models import Asset, AssetQuerySet, CollectionItem, Tagging

# Of one act.
MOST_AT_ONCE = 200


def trash_asset(*, asset: Asset, now: datetime) -> None:
    """Put the asset aside; it can be restored."""
    _move(Asset.objects.filter(pk=asset.pk).kept(), trashed_at=now)


def restore_asset(*, asset: Asset) -> None:
    """Take the asset out of the trash."""
    _move(Asset.objects.filter(pk=asset.pk).in_trash(), trashed_at=None)


def trash_assets(*, owner: User, ids: Sequence[UUID], now: datetime) -> int:
    """Put several aside at one moment, by which they can be restored together; returns how many it were."""
    return _move(Asset.objects.for_owner(owner).kept().filter(pk__in=ids[:MOST_AT_ONCE]), trashed_at=now)


def restore_assets(*, owner: User, ids: Sequence[UUID] = (), trashed_at: datetime | None = None) -> int:
    """Take out of the trash these, or those put aside at that moment; returns how many it were."""
    rows = Asset.objects.for_owner(owner).in_trash()
    chosen = rows.filter(trashed_at=trashed_at) if trashed_at else rows.filter(pk__in=ids[:MOST_AT_ONCE])
    return _move(chosen, trashed_at=None)


def _move(rows: AssetQuerySet, *, trashed_at: datetime | None) -> int:
    with transaction.atomic():
        ids = list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)[:MOST_AT_ONCE])
        Asset.objects.filter(pk__in=ids).update(trashed_at=trashed_at)
        for placements in (Tagging.objects, CollectionItem.objects):
            placements.filter(asset__in=ids).update(kept=trashed_at is None)
        write_documents(ids)
    return len(ids)
