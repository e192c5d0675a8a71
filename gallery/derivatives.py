"""What is made of an asset so that it can be shown: thumbnails, a film's poster and preview, placeholder colours."""

import contextlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from gallery import storage
from gallery.child import run_child
from gallery.faultpoints import faultpoint
from gallery.files import CONTAINERS, EXTENSIONS, READERS
from gallery.leases import drop_after_crash, hand_back
from gallery.models import Asset, AssetQuerySet
from gallery.signatures import sniff

MOST_TRIES = 3
RETRY_AFTER = timedelta(seconds=10)
# More than the child makes; and its largest, two thousand pixels of noise, has less.
MOST_THUMBNAILS = 4
MOST_BYTES = 16 * 1024 * 1024
COLOURS = re.compile(r"[0-9a-f]{18}", re.ASCII)
BATCH = 500
# In which order to take what is due: whoever has all of it made anew keeps nothing new waiting.
LATEST_DUE = ("-due_at",)

logger = logging.getLogger(__name__)


class Unusable(Exception):
    """The child has made something that is not what it was asked for."""


@dataclass(frozen=True)
class Made:
    """Files of thumbnails by their width, from the smallest; the preview of what moves, if there is one."""

    thumbnails: dict[int, Path]
    preview: Path | None
    placeholder: str


def derive(asset: Asset) -> None:
    """Make the derivatives of an asset that the caller has leased, and hand the lease back.

    A file that three children could not decode stays without; while the store is down, or the disk is full, the row
    stays due. What the row named before is deleted once it names the new.
    """
    try:
        changes = _derivatives(asset)
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
        return
    before, after = asset.derived_keys(), Asset(**changes).derived_keys()
    # Where somebody else has the row by now, they write keys of their own.
    written = hand_back(asset, due_at=None, **changes)
    _discard(before - after if written else after)


def make_due(rows: AssetQuerySet) -> int:
    """Let the derivatives of `rows` be made anew, the newest assets' first; returns of how many.

    Left alone is what is due already, unless it was set aside.
    """
    idle = rows.filter(Q(due_at=None) | Q(quarantined_at__isnull=False)).order_by("pk")
    count, last = 0, None
    while batch := list((idle.filter(pk__gt=last) if last else idle).values_list("pk", flat=True)[:BATCH]):
        # Due since the asset was made: what is new comes before it.
        count += idle.filter(pk__in=batch).update(due_at=F("created_at"), claims=0, quarantined_at=None)
        last = batch[-1]
    return count


def lacking(rows: AssetQuerySet) -> AssetQuerySet:
    """Those that have not every derivative: never made, given up, or made by an earlier version."""
    return rows.filter(Q(thumbnails={}) | Q(kind=Asset.Kind.VIDEO, preview_key=""))


def _derivatives(asset: Asset) -> dict[str, Any] | None:
    """The row's changes, their files stored; None where nothing could be made of it. Raises StorageError, OSError."""
    with storage.as_file(asset.storage_key) as source, storage.scratch() as folder:
        try:
            made = _made(asset, source, folder)
        except Unusable as error:
            logger.error("derivatives of asset %s: %s", asset.pk, error)
            return None
        return _stored(asset, made) if made else None


def _made(asset: Asset, source: Path, folder: Path) -> Made | None:
    """What children made of the file at `source`. Nothing that they say is believed unseen: the file may own them."""
    operation = "film" if asset.kind == Asset.Kind.VIDEO else "image"
    reader = (READERS | CONTAINERS).get(asset.content_type, "")
    found = run_child(operation, reader, str(source), str(folder))
    if found is None:
        return None
    widths, colours = found.get("widths"), found.get("placeholder")
    if not (isinstance(widths, list) and 0 < len(widths) <= MOST_THUMBNAILS and all(type(w) is int for w in widths)):
        raise Unusable("no list of widths")
    if not (isinstance(colours, str) and COLOURS.fullmatch(colours)):
        raise Unusable("no colours")
    thumbnails = {width: _seen(folder / f"{width}.webp", "image/webp") for width in widths}
    preview = folder / "preview.mp4"
    # Without one it can still be shown.
    if not found.get("moving") or run_child("preview", reader, str(source), str(preview)) is None:
        return Made(thumbnails, None, colours)
    return Made(thumbnails, _seen(preview, "video/mp4"), colours)


def _seen(path: Path, content_type: str) -> Path:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise Unusable(f"{path.name} is not there, or too large")
    with path.open("rb") as file:
        if sniff(file.read(64)) != content_type:
            raise Unusable(f"{path.name} is something else")
    return path


def _stored(asset: Asset, made: Made) -> dict[str, Any]:
    """Put everything under fresh keys. Raises StorageError, and keeps nothing then."""
    keys: dict[Path, str] = {}
    try:
        for path in filter(None, (*made.thumbnails.values(), made.preview)):
            content_type = "video/mp4" if path == made.preview else "image/webp"
            key = storage.new_key(owner_id=asset.owner_id, output_id=asset.pk, extension=EXTENSIONS[content_type])
            storage.put(path=path, key=key, content_type=content_type)
            keys[path] = key
        faultpoint("derive.after_put")
    except storage.StorageError:
        _discard(keys.values())
        raise
    sizes = [keys[path] for path in made.thumbnails.values()]
    return {
        "thumbnails": {str(width): keys[path] for width, path in made.thumbnails.items()},
        "thumbnail_key": sizes[min(1, len(sizes) - 1)],
        "poster_key": sizes[-1] if asset.kind == Asset.Kind.VIDEO else "",
        "preview_key": keys[made.preview] if made.preview else "",
        "placeholder": made.placeholder,
    }


def _try_later(asset: Asset) -> None:
    """After a failure `claims` is kept, so that it counts the tries."""
    if asset.claims >= MOST_TRIES:
        hand_back(asset, due_at=None)
        return
    drop_after_crash(asset, due_at=timezone.now() + RETRY_AFTER * asset.claims)


def _discard(keys: Iterable[str]) -> None:
    """What cannot be deleted now is collected with what nobody names."""
    for key in keys:
        with contextlib.suppress(storage.StorageError):
            storage.delete(key)
