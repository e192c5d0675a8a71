"""Many assets as one ZIP that is made while it is read: no file on our disk, one chunk in memory.

Pictures and films are compressed already and stored as they are. What cannot be read is left out and told of in
`failed.txt`, for an answer that has begun can no longer become an error.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext

from gallery import storage
from gallery.models import Asset
from gallery.naming import file_name, unique
from gallery.storage import StorageError

MOST_IN_ZIP = 500
# Owner may read and write, others read: what unpacks elsewhere is nobody's program.
MODE = 0o644 << 16


class Sink(io.RawIOBase):
    """What the archive is written to, and read from in between: it keeps nothing that was taken."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        """It is; and it cannot seek, so that sizes follow the bytes."""
        return True

    def write(self, data: Any) -> int:
        """Keep a copy: the writer may use its buffer again."""
        self.parts.append(bytes(data))
        return len(self.parts[-1])

    def take(self) -> bytes:
        """What came since."""
        taken, self.parts = b"".join(self.parts), []
        return taken


def told_to_owner(asset: Asset) -> dict[str, Any]:
    """How it was made and what is said of it; `tags` are prefetched."""
    return {
        "id": str(asset.pk),
        "kind": asset.kind,
        "title": asset.title,
        "prompt": asset.prompt,
        "model": asset.model,
        "settings": asset.settings,
        "seed": asset.seed,
        "frameNumber": asset.frame_number,
        "tags": sorted(tag.name for tag in asset.tags.all()),
        "category": asset.category,
        "notes": asset.notes,
        **_measures(asset),
    }


def told_to_visitors(asset: Asset) -> dict[str, Any]:
    """What the pages of a link show too; the prompt only where the link shows it."""
    said = {"title": asset.title, "prompt": asset.prompt}
    return {"kind": asset.kind, **{name: text for name, text in said.items() if text}, **_measures(asset)}


def _measures(asset: Asset) -> dict[str, Any]:
    return {
        "width": asset.width,
        "height": asset.height,
        "durationSeconds": asset.duration_seconds,
        "contentType": asset.content_type,
        "sha256": asset.sha256,
        "createdAt": asset.created_at.astimezone(UTC).isoformat(),
    }


def archive(
    assets: Sequence[Asset], *, now: datetime, told: Callable[[Asset], dict[str, Any]] = told_to_owner
) -> Iterator[bytes]:
    """The ZIP's bytes, piece by piece, each file with what is `told` of it; reads the store, and no database."""
    sink, taken, failed = Sink(), set[str](), list[str]()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:
        for asset in assets:
            name = unique(file_name(asset), taken)
            taken.add(name.casefold())
            try:
                yield from _stored(made, sink, asset, name)
            except StorageError as error:
                why = gettext("not in the store") if error.status == 404 else gettext("could not be read")
                failed.append(f"{name}: {why}")
            _write(made, f"{name}.json", json.dumps(told(asset), ensure_ascii=False, indent=2) + "\n", asset.created_at)
            yield sink.take()
        if failed:
            _write(
                made, "failed.txt", "\n".join([gettext("These files are not here, or not whole:"), *failed, ""]), now
            )
    yield sink.take()


def _stored(made: zipfile.ZipFile, sink: Sink, asset: Asset, name: str) -> Iterator[bytes]:
    """The entry of one asset. Raises StorageError, before anything is written where nothing can be read."""
    chunks = storage.read_chunks(asset.storage_key)
    first = next(chunks, b"")
    entry = _entry(name, asset.created_at)
    entry.file_size = asset.size_bytes  # tells whether 64 bits are needed
    with made.open(entry, "w") as file:
        file.write(first)
        yield sink.take()
        for chunk in chunks:
            file.write(chunk)
            yield sink.take()


def _write(made: zipfile.ZipFile, name: str, text: str, at: datetime) -> None:
    made.writestr(_entry(name, at), text.encode())


def _entry(name: str, at: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, at.astimezone(UTC).timetuple()[:6])
    entry.external_attr = MODE
    return entry
