"""What a creator does with assets: enter, upload, describe, trash."""

import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum

from accounts.models import User
from gallery import fetcher, storage
from gallery.cleaning import without_metadata
from gallery.faultpoints import faultpoint
from gallery.files import FileFacts, UnusableFile, inspect
from gallery.models import Asset, Tag
from gallery.signatures import sniff

UPLOAD_BYTES = 24 * 1024 * 1024
DATA_URI_BYTES = 8 * 1024 * 1024
REFERENCE_BYTES = 20 * 1024 * 1024
REFERENCE_SECONDS = 10.0
IMPORTS_PER_MINUTE = 10
UPLOADS_PER_MINUTE = 60
# Of one owner, in all.
UPLOADED_BYTES = 5 * 1024**3
MOST_TAGS = 30
REFERENCE_NAME = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)


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


class InvalidDetails(Exception):
    """What an owner says of an asset cannot be kept; `errors` has one sentence for each field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class TooManyUploads(UnusableFile):
    """More pictures came within a minute than are taken from one owner."""


class TooManyImports(Exception):
    """More than ten references a minute were imported."""


def enter_asset(
    *, owner_id: int, facts: FileFacts, storage_key: str, snapshot: Snapshot | None, title: str = "", now: datetime
) -> Asset:
    """The asset of a stored file, due for its derivatives; of an output entered before, the one that is there.

    The caller compares `storage_key` to learn whether its own file won, and deletes the file when it did not.
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
    if snapshot is None:
        row.save(force_insert=True)
        return row
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            row.made_from.set(Asset.objects.filter(owner_id=owner_id, pk__in=snapshot.made_from))
    except IntegrityError:
        return Asset.objects.get(prediction_id=snapshot.prediction_id, output_index=snapshot.output_index)
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
    details = _checked(
        {
            "title": title or Path(name.replace("\\", "/")).stem[:200],
            "tags": list(tags),
            "category": category,
            "reference_name": reference_name,
        }
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
        _check_room(owner, 0, now, per_minute=IMPORTS_PER_MINUTE)
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
                raise UnusableFile("too_large", f"The file is larger than {most // 1024**2} MiB.")
            spooled.write(chunk)


def _keep(owner: User, path: Path, details: dict[str, Any], *, now: datetime, per_minute: int) -> Asset:
    with path.open("rb") as file:
        # Told by its first bytes: a stranger's film is not opened in this process at all.
        if sniff(file.read(64)).startswith("video/"):
            raise UnusableFile("not_an_image", "The file is a film; only pictures can be uploaded.")
    facts = inspect(path)
    _check_room(owner, facts.size_bytes, now, per_minute=per_minute)
    path = without_metadata(path, facts)
    facts = inspect(path)
    key = storage.new_key(owner_id=owner.pk, output_id="upload", extension=facts.extension)
    storage.put(path=path, key=key, content_type=facts.content_type)
    faultpoint("upload.after_put")
    try:
        with transaction.atomic():
            # Locked, so that uploads sent at once are counted one after the other.
            User.objects.select_for_update(no_key=True).get(pk=owner.pk)
            _check_room(owner, facts.size_bytes, now, per_minute=per_minute)
            asset = enter_asset(owner_id=owner.pk, facts=facts, storage_key=key, snapshot=None, now=now)
            return update_asset(asset=asset, changes=details)
    except (InvalidDetails, UnusableFile):
        # Rolled back for certain. After any other fault the commit may have happened, and the file stays.
        storage.delete(key)
        raise


def _check_room(owner: User, size_bytes: int, now: datetime, *, per_minute: int) -> None:
    """Raise UnusableFile when an owner's uploads are too many at once, or too much in all."""
    uploads = Asset.objects.filter(owner=owner, origin=Asset.Origin.UPLOAD)
    if uploads.filter(created_at__gt=now - timedelta(minutes=1)).count() >= per_minute:
        raise TooManyUploads("too_many", f"At most {per_minute} pictures a minute can be uploaded.")
    taken = uploads.aggregate(bytes=Sum("size_bytes"))["bytes"] or 0
    if taken + size_bytes > UPLOADED_BYTES:
        sentence = f"Your uploads take {UPLOADED_BYTES // 1024**3} GiB, which is all there is room for."
        raise UnusableFile("quota_full", sentence)


def update_asset(*, asset: Asset, changes: Mapping[str, Any]) -> Asset:
    """Write what an owner says: any of title, tags, category, favourite, reference_name. Raises InvalidDetails."""
    details = _checked(changes)
    tags = details.pop("tags", None)
    for name, value in details.items():
        setattr(asset, name, value)
    try:
        with transaction.atomic():
            if details:
                asset.save(update_fields=list(details))
            if tags is not None:
                asset.tags.set(_tags(asset.owner_id, tags))
    except IntegrityError:
        raise InvalidDetails({"reference_name": "Another asset of yours has this reference name."}) from None
    return asset


def _tags(owner_id: int, names: list[str]) -> list[Tag]:
    Tag.objects.bulk_create([Tag(owner_id=owner_id, name=name) for name in names], ignore_conflicts=True)
    return list(Tag.objects.filter(owner_id=owner_id, name__in=names))


def trash_asset(*, asset: Asset, now: datetime) -> None:
    """Put the asset aside; it can be restored."""
    Asset.objects.filter(pk=asset.pk, trashed_at=None).update(trashed_at=now)


def restore_asset(*, asset: Asset) -> None:
    """Take the asset out of the trash."""
    Asset.objects.filter(pk=asset.pk).update(trashed_at=None)


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes cleaned; raises InvalidDetails with a sentence for each that cannot be kept."""
    cleaned, errors = {}, {}
    for name, value in changes.items():
        try:
            cleaned[name] = CHECKS[name](value)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidDetails(errors)
    return cleaned


def _title(value: Any) -> str:
    return _line(value, most=200)


def _reference_name(value: Any) -> str:
    """The name by which a prompt may call a picture (@lake-blue); kept without the @."""
    name = _line(value, most=41).removeprefix("@")
    if name and (len(name) > 40 or not REFERENCE_NAME.fullmatch(name)):
        raise ValueError("A reference name has letters, digits, dots, hyphens and underscores, at most 40.")
    return name


def _category(value: Any) -> str:
    if value not in Asset.Category.values:
        raise ValueError(f"The category is one of {', '.join(filter(None, Asset.Category.values))}, or empty.")
    return str(value)


def _favourite(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Favourite is true or false.")
    return value


def _tag_names(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError("Tags are a list of words.")
    names = dict.fromkeys(filter(None, (_line(tag, most=60) for tag in value)))
    if len(names) > MOST_TAGS:
        raise ValueError(f"At most {MOST_TAGS} tags are kept.")
    return list(names)


def _line(value: Any, *, most: int) -> str:
    if not isinstance(value, str):
        raise ValueError("Text is expected here.")
    line = " ".join(value.split())
    if len(line) > most:
        raise ValueError(f"At most {most} characters are kept.")
    if "\x00" in line:
        raise ValueError("The text holds a character that cannot be kept.")
    return line


CHECKS = {
    "title": _title,
    "tags": _tag_names,
    "category": _category,
    "favourite": _favourite,
    "reference_name": _reference_name,
}
