"""How assets come in: entered when an output is stored, uploaded, or imported as a reference."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext

from accounts import storage_room
from accounts.models import User
from accounts.statements import insert, insert_new
from gallery import fetcher, storage
from gallery.cleaning import without_metadata
from gallery.descriptions import InvalidDetails, checked, update_asset
from gallery.documents import enter_document
from gallery.faultpoints import faultpoint
from gallery.files import FileFacts, UnusableFile, inspect
from gallery.models import Asset, AssetQuerySet
from gallery.signatures import sniff
from gallery.turns import wait_turn

UPLOAD_BYTES = 24 * 1024 * 1024
DATA_URI_BYTES = 8 * 1024 * 1024
REFERENCE_BYTES = 20 * 1024 * 1024
REFERENCE_SECONDS = 10.0
IMPORTS_PER_MINUTE = 10
UPLOADS_PER_MINUTE = 60


@dataclass(frozen=True)
class Snapshot:
    """How an output was made, as it is written on its asset."""

    prediction_id: UUID
    output_index: int
    frame_number: int | None
    provider: str
    model: str
    prompt: str
    settings: dict[str, Any]
    seed: int | None
    cost_micros: int | None
    made_from: list[UUID] = field(default_factory=list)


class TooManyUploads(UnusableFile):
    """More pictures came within a minute than are taken from one owner."""


class TooManyImports(Exception):
    """More than ten references a minute were imported."""


def enter_asset(
    *, owner_id: int, facts: FileFacts, storage_key: str, snapshot: Snapshot | None, title: str = "", now: datetime
) -> Asset:
    """The asset of a stored file, due for its derivatives; of an output entered before, the one that is there.

    The caller compares `storage_key` to learn whether its own file won, and deletes the file when it did not. Raises
    `StorageFull` for an upload that does not fit; an output is paid for, and kept however full its owner's storage is.
    """
    made = {} if snapshot is None else _snapshot_fields(snapshot)
    row = Asset(
        owner_id=owner_id,
        origin=Asset.Origin.GENERATED if snapshot else Asset.Origin.UPLOAD,
        kind=facts.kind,
        content_type=facts.content_type,
        size_bytes=facts.size_bytes,
        sha256=facts.sha256,
        width=facts.width,
        height=facts.height,
        duration_seconds=facts.duration_seconds,
        storage_key=storage_key,
        title=title[:200],
        created_at=now,
        due_at=now,
        **made,
    )
    with transaction.atomic(savepoint=snapshot is None):
        if snapshot is None:
            insert(row)
        elif not insert_new(row):
            return Asset.objects.get(prediction_id=snapshot.prediction_id, output_index=snapshot.output_index)
        storage_room.take(user_id=owner_id, size_bytes=facts.size_bytes, bounded=snapshot is None)
        if snapshot and snapshot.made_from:
            row.made_from.set(Asset.objects.filter(owner_id=owner_id, pk__in=snapshot.made_from))
        enter_document(row)
    return row


def _snapshot_fields(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "prediction_id": snapshot.prediction_id,
        "output_index": snapshot.output_index,
        "frame_number": snapshot.frame_number,
        "provider": snapshot.provider,
        "model": snapshot.model,
        "prompt": snapshot.prompt,
        "settings": snapshot.settings,
        "seed": snapshot.seed,
        "cost_micros": snapshot.cost_micros,
    }


def same_files(asset: Asset) -> AssetQuerySet:
    """Others of its owner's with the same bytes, the oldest first: pointed out, and not merged."""
    rows = Asset.objects.filter(owner_id=asset.owner_id, sha256=asset.sha256, size_bytes=asset.size_bytes).kept()
    return rows.exclude(pk=asset.pk).order_by("created_at", "pk")


def upload_asset(
    *,
    owner: User,
    file: IO[bytes],
    name: str,
    now: datetime,
    title: str = "",
    tags: Iterable[str] = (),
    category: str = "",
    reference_name: str = "",
) -> Asset:
    """Keep a picture that `owner` brings; `name` serves as its title when there is no other.

    Raises UnusableFile, InvalidDetails and StorageError, and keeps nothing then.
    """
    details = checked(
        {
            "title": title or Path(name.replace("\\", "/")).stem[:200],
            "tags": list(tags),
            "category": category,
            "reference_name": reference_name,
        },
        owner_id=owner.pk,
    )
    with tempfile.TemporaryDirectory(prefix="upload-") as folder:
        path = Path(folder) / "file"
        _spool(file, path, most=UPLOAD_BYTES)
        return _keep(owner, path, details, now=now, per_minute=UPLOADS_PER_MINUTE)


def import_reference(*, owner: User, source: str, now: datetime) -> Asset:
    """The upload asset of a picture given as a `data:` URI (8 MiB) or an https address (20 MB, 10 s).

    Raises TooManyImports, FetchError, UnusableFile and StorageError.
    """
    try:
        _check_pace(owner, now, per_minute=IMPORTS_PER_MINUTE)
        return _import(owner, source, now)
    except TooManyUploads:
        raise TooManyImports("More than ten references were imported within a minute.") from None


def _import(owner: User, source: str, now: datetime) -> Asset:
    with tempfile.TemporaryDirectory(prefix="reference-") as folder:
        path = Path(folder) / "file"
        if source[:5].lower() == "data:":
            path.write_bytes(fetcher.decode_data_uri(source, DATA_URI_BYTES))
        else:
            fetcher.fetch(
                url=source,
                to=path,
                max_bytes=REFERENCE_BYTES,
                allowed_hosts=None,
                deadline_seconds=REFERENCE_SECONDS,
            )
        return _keep(owner, path, {}, now=now, per_minute=IMPORTS_PER_MINUTE)


def _spool(file: IO[bytes], path: Path, *, most: int) -> None:
    size = 0
    with path.open("wb") as spooled:
        while chunk := file.read(1 << 20):
            size += len(chunk)
            if size > most:
                raise UnusableFile(
                    "too_large", gettext("The file is larger than %(most)s MiB.") % {"most": most // 1024**2}
                )
            spooled.write(chunk)


def _keep(owner: User, path: Path, details: dict[str, Any], *, now: datetime, per_minute: int) -> Asset:
    with path.open("rb") as file:
        # Told by its first bytes: a stranger's film is not opened in this process at all.
        if sniff(file.read(64)).startswith("video/"):
            raise UnusableFile("not_an_image", gettext("The file is a film; only pictures can be uploaded."))
    facts = inspect(path)
    _check_pace(owner, now, per_minute=per_minute)
    _check_room(owner, facts.size_bytes)
    path = without_metadata(path, facts)
    facts = inspect(path)
    key = storage.new_key(owner_id=owner.pk, output_id="upload", extension=facts.extension)
    storage.put(path=path, key=key, content_type=facts.content_type)
    faultpoint("upload.after_put")
    try:
        with transaction.atomic():
            wait_turn(owner.pk)
            _check_pace(owner, now, per_minute=per_minute)
            asset = enter_asset(owner_id=owner.pk, facts=facts, storage_key=key, snapshot=None, now=now)
            return update_asset(asset=asset, changes=details, now=now)
    except (InvalidDetails, UnusableFile, storage_room.StorageFull) as error:
        # Rolled back for certain. After any other fault the commit may have happened, and the file stays.
        storage.delete(key)
        if isinstance(error, storage_room.StorageFull):
            raise _no_room(error) from None
        raise


def uploads_left(*, owner: User, now: datetime, per_minute: int = UPLOADS_PER_MINUTE) -> int:
    """How many more uploads of the owner's are taken just now."""
    uploads = Asset.objects.filter(owner=owner, origin=Asset.Origin.UPLOAD)
    return per_minute - uploads.filter(created_at__gt=now - timedelta(minutes=1)).count()


def _check_pace(owner: User, now: datetime, *, per_minute: int) -> None:
    """Raise TooManyUploads when an owner's uploads are too many at once."""
    if uploads_left(owner=owner, now=now, per_minute=per_minute) <= 0:
        raise TooManyUploads(
            "too_many", gettext("At most %(most)s pictures a minute can be uploaded.") % {"most": per_minute}
        )


def _check_room(owner: User, size_bytes: int) -> None:
    """Raise UnusableFile where an upload would not fit, before it is put anywhere."""
    try:
        storage_room.check_fits(owner.pk, size_bytes)
    except storage_room.StorageFull as error:
        raise _no_room(error) from None


def _no_room(full: storage_room.StorageFull) -> UnusableFile:
    sentence = gettext("%(sentence)s Delete something and empty the trash to make room.")
    return UnusableFile("quota_full", sentence % {"sentence": full.sentence})
