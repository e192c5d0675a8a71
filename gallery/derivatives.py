"""What is made of an asset so that it can be shown: thumbnail, poster of a film, placeholder colours."""

import contextlib
import logging
import tempfile
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from gallery import storage
from gallery.child import run_child
from gallery.faultpoints import faultpoint
from gallery.leases import drop_after_crash, hand_back
from gallery.models import Asset

MOST_TRIES = 3
RETRY_AFTER = timedelta(seconds=10)

logger = logging.getLogger(__name__)


def derive(asset: Asset) -> None:
    """Make the derivatives of an asset that the caller has leased, and hand the lease back.

    A file that three children could not decode stays without; while the store is down, or the disk is full, the row
    stays due.
    """
    try:
        changes = _made(asset)
    except storage.StorageError as error:
        logger.warning("derivatives of asset %s wait for the store: %s", asset.pk, error)
        if error.status != 404:
            hand_back(asset, due_at=timezone.now() + RETRY_AFTER)
            return
        changes = None
    except OSError as error:
        logger.warning("derivatives of asset %s wait for room: %s", asset.pk, error.strerror)
        hand_back(asset, due_at=timezone.now() + RETRY_AFTER)
        return
    if changes is None:
        _try_later(asset)
    elif not hand_back(asset, due_at=None, **changes):
        # Somebody else has the row by now and writes keys of their own.
        _discard(changes)


def _made(asset: Asset) -> dict[str, str] | None:
    with storage.as_file(asset.storage_key) as source, tempfile.TemporaryDirectory(prefix="derive-") as folder:
        paths = {"thumbnail_key": Path(folder) / "thumbnail.webp"}
        if asset.kind == Asset.Kind.VIDEO:
            paths["poster_key"] = Path(folder) / "poster.webp"
        operation = "film" if asset.kind == Asset.Kind.VIDEO else "image"
        found = run_child(operation, str(source), *map(str, paths.values()))
        if found is None:
            return None
        changes: dict[str, str] = {}
        try:
            for name, path in paths.items():
                key = storage.new_key(owner_id=asset.owner_id, output_id=asset.pk, extension="webp")
                storage.put(path=path, key=key, content_type="image/webp")
                changes[name] = key
            faultpoint("derive.after_put")
        except storage.StorageError:
            _discard(changes)
            raise
    return changes | {"placeholder": found["placeholder"]}


def _try_later(asset: Asset) -> None:
    """After a failure `claims` is kept, so that it counts the tries."""
    if asset.claims >= MOST_TRIES:
        hand_back(asset, due_at=None)
        return
    drop_after_crash(asset, due_at=timezone.now() + RETRY_AFTER * asset.claims)


def _discard(changes: dict[str, str]) -> None:
    for name in ("thumbnail_key", "poster_key"):
        if changes.get(name):
            with contextlib.suppress(storage.StorageError):
                storage.delete(changes[name])
