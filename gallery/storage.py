"""Where the bytes of assets live: files under `DATA_DIR`, or an S3-compatible store such as Supabase Storage.

Every fault of a backend leaves as `StorageError`. A key is written once and never again, so a repeated or late
write can neither replace nor mix what somebody already reads.
"""

import contextlib
import os
import re
import stat
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote
from uuid import UUID, uuid4

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from gallery import nearby
from gallery.naming import attachment
from gallery.parts import Parts

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# Supabase asks for uploads in parts above 6 MB. One part at a time is in memory; `upload_fileobj` holds ten.
SINGLE_UPLOAD_BYTES = 6_000_000
PART_BYTES = 8 * 1024 * 1024
READ_BYTES = 1 << 20
SIGNATURE_SECONDS = 600
# Keys are never written twice, so a copy never goes stale. It is for its reader alone, unless everybody may read it.
FOR_A_YEAR = "max-age=31536000, immutable"
OUR_KEY = re.compile(r"\d+/[\w-]+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\w+", re.ASCII)

_connecting = threading.Lock()


class StorageError(Exception):
    """The store did not do what was asked. `status` is the HTTP status of its answer, None without one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class StoredObject:
    """What lies in the store, as the store tells of it."""

    key: str
    size_bytes: int
    modified_at: datetime


def new_key(*, owner_id: int, output_id: object, extension: str) -> str:
    """A fresh ASCII key; nothing of it comes from a name that somebody chose."""
    return f"{owner_id}/{output_id}/{uuid4()}.{extension}"


def is_our_key(key: str) -> bool:
    """Whether `new_key` can have made it; the rest of a bucket or folder is not ours to judge."""
    return OUR_KEY.fullmatch(key) is not None


def derived_from(key: str) -> UUID | None:
    """The asset whose derivative lies under `key`; None where it is a file of another kind."""
    try:
        return UUID(key.split("/")[1])
    except (IndexError, ValueError):
        return None


def put(*, path: Path, key: str, content_type: str) -> None:
    """Store the file at `path` under the fresh `key`; what is half done on failure is taken back."""
    store = _store()
    with faults(f"storing {key}"), path.open("rb") as file:
        if is_local():
            _put_file(store, file, key)
        else:
            _put_object(file, store.bucket_name, key, content_type, path.stat().st_size)


def begin(*, key: str, content_type: str) -> Parts:
    """An upload in parts under the fresh `key`, only where not `is_local`; within `faults`."""
    bucket = _store().bucket_name
    return Parts(_client(), bucket=bucket, key=key, content_type=content_type, cache_control=_cache_control())


def delete(key: str) -> None:
    """Remove what is stored under `key`; nothing there is no fault."""
    store = _store()
    nearby.drop(key)
    with faults(f"deleting {key}"):
        if is_local():
            store.delete(key)
        else:
            _client().delete_object(Bucket=store.bucket_name, Key=key)


def size_of(key: str) -> int | None:
    """How many bytes are stored under `key`; None when nothing is."""
    store = _store()
    try:
        with faults(f"asking for {key}"):
            if is_local():
                size: int = store.size(key)
                return size
            return _client().head_object(Bucket=store.bucket_name, Key=key)["ContentLength"]
    except StorageError as error:
        # Supabase may answer 400 for what is not there.
        if error.status in (400, 404):
            return None
        raise


def listing() -> Iterator[StoredObject]:
    """Everything that is stored, page by page; complete or a StorageError."""
    store = _store()
    with faults("listing the store"):
        if is_local():
            yield from _listed_files(Path(store.location))
        else:
            yield from _listed_objects(store.bucket_name)


def abort_stale_uploads(*, begun_before: datetime, keep: bool = False) -> int:
    """Take back uploads in parts that a killed process left behind, or with `keep` count them; returns how many.

    Their parts are in no listing, and Supabase has no lifecycle rules that would end them.
    """
    store = _store()
    if is_local():
        return 0
    with faults("looking for abandoned uploads"):
        # Read to the end first: what is taken back would shift the pages.
        stale = list(_stale_uploads(store.bucket_name, begun_before))
    if keep:
        return len(stale)
    return sum(_abort(store.bucket_name, key, upload) for key, upload in stale)


def is_local() -> bool:
    """Whether we hold the files ourselves and have to serve them."""
    return isinstance(_store(), FileSystemStorage)


def open_local(key: str) -> BinaryIO:
    """The stored file, open for reading; only where `is_local`."""
    with faults(f"opening {key}"):
        file: BinaryIO = _store().open(key).file
        return file


def read_chunks(key: str) -> Iterator[bytes]:
    """The bytes under `key`, a piece at a time; a StorageError may come before any of them."""
    store = _store()
    with faults(f"reading {key}"):
        if is_local():
            with store.open(key) as file:
                while chunk := file.read(READ_BYTES):
                    yield chunk
        else:
            with contextlib.closing(_client().get_object(Bucket=store.bucket_name, Key=key)["Body"]) as body:
                yield from body.iter_chunks(READ_BYTES)


@contextlib.contextmanager
def as_file(key: str) -> Iterator[Path]:
    """A path with the bytes under `key` to read from while the context lasts."""
    store = _store()
    if isinstance(store, FileSystemStorage):
        path = Path(store.path(key))
        if not path.is_file():
            raise StorageError(f"nothing is stored under {key}", status=404)
        yield path
        return
    with scratch() as folder:
        path = folder / "asset"
        if not nearby.take(key, path):
            with faults(f"reading {key}"), path.open("wb") as file:
                for chunk in read_chunks(key):
                    file.write(chunk)
        yield path


def keep_near(path: Path, key: str) -> None:
    """Leave the file at `path`, just stored under `key`, to whoever reads it next: it need not travel back."""
    if not is_local():
        nearby.keep(path, key)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a while; what a killed process leaves of it is swept with the other scratch of this host."""
    parent = Path(settings.DATA_DIR) / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def signed_address(
    key: str, *, content_type: str, filename: str = "", method: str = "GET", for_visitor: bool = False
) -> str:
    """An address at the store, good for ten minutes, bound to `key`; with a `filename` the browser saves it.

    Without one, and where a public base is set, the lasting public address, but never for a visitor, whose leave to
    look may end. Only where not `is_local`.
    """
    if settings.S3_PUBLIC_URL and not filename and not for_visitor:
        return f"{settings.S3_PUBLIC_URL}/{quote(key)}"
    store = _store()
    with faults(f"signing {key}"):
        return _client().generate_presigned_url(
            "head_object" if method == "HEAD" else "get_object",
            Params={
                "Bucket": store.bucket_name,
                "Key": key,
                "ResponseContentType": content_type,
                "ResponseContentDisposition": attachment(filename) if filename else "inline",
            },
            ExpiresIn=SIGNATURE_SECONDS,
        )


def check() -> None:
    """Ask whether the store answers; raises StorageError when it does not."""
    store = _store()
    with faults("asking the store"):
        if is_local():
            Path(store.location).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=store.location).close()
        else:
            _client().head_bucket(Bucket=store.bucket_name)


def _store() -> Any:
    """The configured backend: FileSystemStorage, or S3Storage, of which we use the options alone."""
    return storages["assets"]


@contextlib.contextmanager
def faults(doing: str) -> Iterator[None]:
    """Turn every fault of a backend into a `StorageError` that says what was being done."""
    try:
        yield
    except ClientError as error:
        # The status, not the code: Supabase sends codes empty.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        raise StorageError(f"{doing}: the store answered {status}", status=status) from error
    except FileNotFoundError as error:
        raise StorageError(f"{doing}: not found", status=404) from error
    except (BotoCoreError, OSError) as error:
        raise StorageError(f"{doing}: {type(error).__name__}") from error


def _client() -> "S3Client":
    store = _store()
    # `lru_cache` lets all threads in that come before the first has made it, and boto3's own session is no thread's.
    with _connecting:
        return _connected(store.endpoint_url, store.region_name, store.access_key, store.secret_key)


@lru_cache(maxsize=8)
def _connected(endpoint: str, region: str, access_key: str, secret_key: str) -> "S3Client":
    """One client for all threads: it is safe between them, and making one takes a tenth of a second."""
    # To load it takes twice as long, which processes whose assets are files are spared.
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _listed_objects(bucket: str) -> Iterator[StoredObject]:
    for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            yield StoredObject(item["Key"], item["Size"], item["LastModified"])


def _listed_files(folder: Path) -> Iterator[StoredObject]:
    for parent, _, names in os.walk(folder, onerror=_unless_gone):
        for path in (Path(parent) / name for name in names):
            try:
                facts = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(facts.st_mode):
                key = path.relative_to(folder).as_posix()
                yield StoredObject(key, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _unless_gone(error: OSError) -> None:
    """A folder that vanished while others were read holds nothing; one that cannot be read ends the listing."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _stale_uploads(bucket: str, begun_before: datetime) -> Iterator[tuple[str, str]]:
    for page in _client().get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            if upload["Initiated"] < begun_before:
                yield upload["Key"], upload["UploadId"]


def _abort(bucket: str, key: str, upload: str) -> bool:
    """False when the upload has ended by itself since it was listed."""
    try:
        with faults(f"taking back the parts of {key}"):
            _client().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    except StorageError as error:
        if error.status == 404:
            return False
        raise
    return True


def _put_file(store: Storage, file: BinaryIO, key: str) -> None:
    kept = store.save(key, File(file))
    if kept != key:
        store.delete(kept)
        raise StorageError(f"{key} is already taken")


def _cache_control() -> str:
    return f"{'public' if settings.S3_PUBLIC_URL else 'private'}, {FOR_A_YEAR}"


def _put_object(file: BinaryIO, bucket: str, key: str, content_type: str, size_bytes: int) -> None:
    client = _client()
    if size_bytes <= SINGLE_UPLOAD_BYTES:
        client.put_object(
            Bucket=bucket, Key=key, Body=file.read(), ContentType=content_type, CacheControl=_cache_control()
        )
        return
    upload = begin(key=key, content_type=content_type)
    try:
        for number, part in enumerate(iter(partial(file.read, PART_BYTES), b""), start=1):
            upload.send(number, part)
        upload.complete()
    except BaseException:
        upload.take_back()
        raise
