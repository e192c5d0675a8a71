"""A large file on its way to the store before all of it has come: whole and seen at the end, or not at all."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from pytest_django import Settings

from gallery import storage
from gallery.ahead import Ahead
from gallery.parts import Parts
from gallery.storage import StorageError
from gallery.tests import samples
from gallery.tests.s3server import S3Server

pytestmark = pytest.mark.services
PIECE, PART = 300_000, 5 * 1024 * 1024
SEND = Parts.send


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts as small as this server takes them."""
    monkeypatch.setattr(storage, "PART_BYTES", PART)


@pytest.fixture
def content() -> bytes:
    """A picture, and more than two parts of what follows it."""
    return samples.picture() + bytes(range(256)) * 45_000


def keyed(*, extension: str) -> str:
    return storage.new_key(owner_id=7, output_id="ahead", extension=extension)


def fed(ahead: Ahead, content: bytes) -> None:
    """As if it was fetched just now."""
    with ahead.path.open("wb", buffering=0) as file:
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            file.write(piece)
            ahead.came(piece)


def left(s3: S3Server, bucket: str) -> list[Any]:
    """Objects, and uploads in parts."""
    client = s3.client()
    listed, begun = client.list_objects_v2(Bucket=bucket), client.list_multipart_uploads(Bucket=bucket)
    return [*listed.get("Contents", []), *begun.get("Uploads", [])]


class TestAhead:
    def test_is_whole_and_seen_when_it_is_complete(
        self, s3: S3Server, own_bucket: str, content: bytes, tmp_path: Path
    ) -> None:
        with Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: True) as ahead:
            fed(ahead, content)
            assert ahead.key.endswith(".png")
            assert storage.size_of(ahead.key) is None
            ahead.complete()

        assert ahead.sha256() == hashlib.sha256(content).hexdigest()
        assert b"".join(storage.read_chunks(ahead.key)) == content
        head = s3.client().head_object(Bucket=own_bucket, Key=ahead.key)
        assert head["ContentType"] == "image/png" and "immutable" in head["CacheControl"]
        assert head["ETag"].strip('"').endswith("-3")

    def test_sends_the_last_part_while_the_whole_is_looked_at_and_shows_nothing(
        self, s3: S3Server, own_bucket: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent, last = list[int](), threading.Event()

        def send(parts: Parts, number: int, part: bytes) -> None:
            SEND(parts, number, part)
            sent.append(number)
            if len(part) < PART:
                last.set()

        monkeypatch.setattr(Parts, "send", send)
        with Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: True) as ahead:
            fed(ahead, content)
            ahead.end()
            assert last.wait(60)
            assert storage.size_of(ahead.key) is None
            ahead.complete()

        assert sorted(sent) == [1, 2, 3]
        assert storage.size_of(ahead.key) == len(content)

    def test_leaves_nothing_when_it_is_given_up(
        self, s3: S3Server, own_bucket: str, content: bytes, tmp_path: Path
    ) -> None:
        with Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: True) as ahead:
            fed(ahead, content)
        assert left(s3, own_bucket) == []

        with pytest.raises(ZeroDivisionError), Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: True) as ahead:
            fed(ahead, content)
            raise ZeroDivisionError
        assert left(s3, own_bucket) == []

    def test_says_at_the_end_what_broke_on_the_way(
        self, s3: S3Server, own_bucket: str, content: bytes, tmp_path: Path, broken_at_second_part: None
    ) -> None:
        with pytest.raises(StorageError), Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: True) as ahead:
            fed(ahead, content)
            ahead.complete()

        assert left(s3, own_bucket) == []
        assert (tmp_path / "file").read_bytes() == content

    @pytest.fixture
    def broken_at_second_part(self, own_bucket: str) -> Iterator[None]:
        def fail(params: dict[str, Any], **_: Any) -> None:
            if params["query_string"]["partNumber"] == 2:
                raise EndpointConnectionError(endpoint_url="cut")

        events = storage._client().meta.events
        events.register("before-call.s3.UploadPart", fail)
        yield
        events.unregister("before-call.s3.UploadPart", fail)

    @pytest.mark.parametrize("why", ["small", "no picture", "not to be sent"])
    def test_begins_nothing(self, s3: S3Server, own_bucket: str, content: bytes, tmp_path: Path, why: str) -> None:
        given = {"small": content[:PART], "no picture": b"text" * 1_500_000}.get(why, content)
        with Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: why != "not to be sent") as ahead:
            fed(ahead, given)

            assert ahead.key == ""
            assert left(s3, own_bucket) == []
        assert ahead.sha256() == hashlib.sha256(given).hexdigest()

    def test_begins_nothing_where_files_are_our_own(self, content: bytes, tmp_path: Path, settings: Settings) -> None:
        with Ahead(tmp_path / "file", new_key=keyed, may_send=lambda: True) as ahead:
            fed(ahead, content)

        assert ahead.key == ""
