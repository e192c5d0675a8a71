"""Keeping bytes: in files and at a real S3 server, and what is left behind when it fails."""

import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import EndpointConnectionError
from pytest_django import Settings

from gallery import storage
from gallery.storage import StorageError
from gallery.tests.rawserver import answer, raw_server, says
from gallery.tests.s3server import S3Server

pytestmark = pytest.mark.services
MIB = 1024 * 1024


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture"
    path.write_bytes(b"bytes of a picture")
    return path


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "s3":
        request.getfixturevalue("in_s3")
    return str(request.param)


def key() -> str:
    return storage.new_key(owner_id=7, output_id=uuid4(), extension="png")


def memory(field: str) -> int:
    """A line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


class TestStore:
    """Both backends alike."""

    def test_gives_back_what_was_put(self, store: str, picture: Path) -> None:
        kept = key()
        storage.put(path=picture, key=kept, content_type="image/png")

        with storage.as_file(kept) as path:
            assert path.read_bytes() == b"bytes of a picture"

    def test_forgets_what_was_deleted(self, store: str, picture: Path) -> None:
        kept = key()
        storage.put(path=picture, key=kept, content_type="image/png")

        storage.delete(kept)
        storage.delete(kept)

        with pytest.raises(StorageError) as fault, storage.as_file(kept):
            pass
        assert fault.value.status == 404

    def test_knows_the_size_of_what_it_has(self, store: str, picture: Path) -> None:
        kept = key()
        storage.put(path=picture, key=kept, content_type="image/png")

        assert storage.size_of(kept) == len(b"bytes of a picture")
        assert storage.size_of(key()) is None

    def test_lists_what_it_has(self, store: str, picture: Path) -> None:
        put = {key() for _ in range(3)}
        for kept in put:
            storage.put(path=picture, key=kept, content_type="image/png")

        found = {item.key: item for item in storage.listing() if item.key in put}

        assert set(found) == put
        assert {item.size_bytes for item in found.values()} == {len(b"bytes of a picture")}
        assert all(abs(datetime.now(UTC) - item.modified_at) < timedelta(minutes=1) for item in found.values())

    def test_answers_when_asked(self, store: str) -> None:
        storage.check()

    def test_makes_keys_that_are_unique_and_ascii(self) -> None:
        made = {storage.new_key(owner_id=7, output_id="x", extension="png") for _ in range(100)}

        assert len(made) == 100
        assert all(name.isascii() and name.startswith("7/x/") and name.endswith(".png") for name in made)
        assert all(storage.is_our_key(name) for name in made)


class TestFiles:
    def test_never_writes_a_key_twice(self, picture: Path, tmp_path: Path) -> None:
        kept, other = key(), tmp_path / "other"
        other.write_bytes(b"other")
        storage.put(path=picture, key=kept, content_type="image/png")

        with pytest.raises(StorageError):
            storage.put(path=other, key=kept, content_type="image/png")

        with storage.open_local(kept) as file:
            assert file.read() == b"bytes of a picture"
        assert len([path for path in (tmp_path / "assets").rglob("*") if path.is_file()]) == 1

    def test_lists_nothing_before_there_is_a_folder(self) -> None:
        assert list(storage.listing()) == []

    def test_reports_a_folder_that_cannot_be_written(self, settings: Settings, tmp_path: Path, picture: Path) -> None:
        (tmp_path / "blocked").write_text("a file where a folder should be")
        settings.STORAGES = settings.STORAGES | {
            "assets": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(tmp_path / "blocked")},
            }
        }

        with pytest.raises(StorageError):
            storage.check()
        with pytest.raises(StorageError):
            storage.put(path=picture, key=key(), content_type="image/png")
        with pytest.raises(StorageError):
            list(storage.listing())


class TestS3:
    def test_keeps_type_and_caching_with_the_object(self, in_s3: S3Server, picture: Path) -> None:
        kept = key()

        storage.put(path=picture, key=kept, content_type="image/png")

        head = in_s3.client().head_object(Bucket=in_s3.bucket, Key=kept)
        assert head["ContentType"] == "image/png"
        assert head["CacheControl"] == "private, max-age=31536000, immutable"

    def test_lets_a_cdn_keep_what_everybody_may_read(self, in_s3: S3Server, picture: Path, settings: Settings) -> None:
        settings.S3_PUBLIC_URL = "https://cdn.example.com"

        storage.put(path=picture, key=(kept := key()), content_type="image/png")

        assert in_s3.client().head_object(Bucket=in_s3.bucket, Key=kept)["CacheControl"].startswith("public, ")

    def test_deletes_one_object(self, in_s3: S3Server, picture: Path) -> None:
        storage.put(path=picture, key=(kept := key()), content_type="image/png")

        storage.delete(kept)
        storage.delete(kept)

        assert storage.size_of(kept) is None
        with pytest.raises(StorageError) as fault, storage.as_file(kept):
            pass
        assert fault.value.status == 404

    def test_puts_large_files_in_parts_within_bounded_memory(self, in_s3: S3Server, tmp_path: Path) -> None:
        path, kept = tmp_path / "film", key()
        with path.open("wb") as file:
            file.truncate(256 * MIB)
        storage.put(path=_small(tmp_path), key=key(), content_type="video/mp4")
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")

        storage.put(path=path, key=kept, content_type="video/mp4")

        head = in_s3.client().head_object(Bucket=in_s3.bucket, Key=kept)
        assert memory("VmHWM") - before < 48 * MIB
        assert head["ContentLength"] == 256 * MIB
        assert head["ETag"].strip('"').endswith("-32")
        storage.delete(kept)

    def test_takes_back_the_parts_of_a_failed_upload(
        self, in_s3: S3Server, tmp_path: Path, broken_at_third_part: None
    ) -> None:
        path, kept = tmp_path / "film", key()
        with path.open("wb") as file:
            file.truncate(24 * MIB)

        with pytest.raises(StorageError):
            storage.put(path=path, key=kept, content_type="video/mp4")

        client = in_s3.client()
        # Other tests may be uploading into this bucket just now.
        begun = client.list_multipart_uploads(Bucket=in_s3.bucket).get("Uploads", [])
        assert kept not in [upload["Key"] for upload in begun]
        assert "Contents" not in client.list_objects_v2(Bucket=in_s3.bucket, Prefix=kept)

    @pytest.fixture
    def broken_at_third_part(self, in_s3: S3Server) -> Iterator[None]:
        def fail(params: dict[str, Any], **_: Any) -> None:
            if params["query_string"]["partNumber"] == 3:
                raise EndpointConnectionError(endpoint_url="cut")

        events = storage._client().meta.events
        events.register("before-call.s3.UploadPart", fail)
        yield
        events.unregister("before-call.s3.UploadPart", fail)

    def test_takes_back_uploads_that_were_abandoned_an_hour_ago(self, in_s3: S3Server, own_bucket: str) -> None:
        client, kept = in_s3.client(), key()
        upload = client.create_multipart_upload(Bucket=own_bucket, Key=kept)["UploadId"]
        client.upload_part(Bucket=own_bucket, Key=kept, UploadId=upload, PartNumber=1, Body=b"part")
        now = datetime.now(UTC)

        early = storage.abort_stale_uploads(begun_before=now - timedelta(hours=1))
        late = storage.abort_stale_uploads(begun_before=now + timedelta(minutes=1))

        assert (early, late) == (0, 1)
        assert "Uploads" not in client.list_multipart_uploads(Bucket=own_bucket)
        assert storage.abort_stale_uploads(begun_before=now + timedelta(minutes=1)) == 0

    def test_takes_back_the_parts_of_a_process_that_was_killed(
        self, in_s3: S3Server, own_bucket: str, tmp_path: Path
    ) -> None:
        with (path := tmp_path / "film").open("wb") as file:
            file.truncate(24 * MIB)
        # Killed for good when its second part is sent: nothing that it would have done in the end is done.
        child = os.fork()
        if not child:
            storage._connected.cache_clear()
            events = storage._client().meta.events
            events.register("after-call.s3.UploadPart", lambda **_: os.kill(os.getpid(), signal.SIGKILL))
            storage.put(path=path, key=key(), content_type="video/mp4")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        client = in_s3.client()
        assert len(client.list_multipart_uploads(Bucket=own_bucket)["Uploads"]) == 1

        assert storage.abort_stale_uploads(begun_before=datetime.now(UTC) + timedelta(minutes=1)) == 1

        assert "Uploads" not in client.list_multipart_uploads(Bucket=own_bucket)
        assert "Contents" not in client.list_objects_v2(Bucket=own_bucket)

    def test_all_threads_share_a_client_those_that_come_before_it_is_made_too(self, in_s3: S3Server) -> None:
        storage._connected.cache_clear()
        gate = threading.Barrier(8)

        def ask(_: int) -> int:
            gate.wait()
            return id(storage._client())

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(ask, range(8)))) == 1

    def test_counts_no_upload_that_ended_by_itself(self, in_s3: S3Server, own_bucket: str) -> None:
        assert storage._abort(own_bucket, key(), "long-gone") is False

    def test_lists_page_by_page(self, in_s3: S3Server, own_bucket: str, pages_of_two: None) -> None:
        put = {key() for _ in range(5)}
        for kept in put:
            in_s3.client().put_object(Bucket=own_bucket, Key=kept, Body=b"x")

        assert {item.key for item in storage.listing()} == put

    @pytest.fixture
    def pages_of_two(self, own_bucket: str) -> Iterator[None]:
        def shorten(params: dict[str, Any], **_: Any) -> None:
            params["MaxKeys"] = 2

        events = storage._client().meta.events
        events.register("provide-client-params.s3.ListObjectsV2", shorten)
        yield
        events.unregister("provide-client-params.s3.ListObjectsV2", shorten)

    @pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request"])
    def test_takes_supabases_word_for_what_is_not_there(self, s3: S3Server, settings: Settings, status: str) -> None:
        with raw_server() as server:
            # botocore takes 400 for another region's answer, and asks where the bucket is.
            server.acts = {"/assets": says(answer(b"")), f"/assets/{(kept := key())}": says(answer(b"", status=status))}
            settings.STORAGES = settings.STORAGES | {"assets": s3.storage(endpoint_url=f"http://{server.host}")}

            assert storage.size_of(kept) is None

    def test_reports_a_refusal_to_say_a_size(self, s3: S3Server, settings: Settings) -> None:
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(secret_key="wrong")}

        with pytest.raises(StorageError) as fault:
            storage.size_of(key())

        assert fault.value.status == 403

    def test_reports_a_refusal_to_list(self, s3: S3Server, settings: Settings) -> None:
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(secret_key="wrong")}

        with pytest.raises(StorageError):
            list(storage.listing())
        with pytest.raises(StorageError):
            storage.abort_stale_uploads(begun_before=datetime.now(UTC))

    def test_signs_an_address_that_serves_one_object_for_ten_minutes(self, in_s3: S3Server, picture: Path) -> None:
        kept = key()
        storage.put(path=picture, key=kept, content_type="image/png")

        address = storage.signed_address(kept, content_type="image/png", filename="frame-1.png")

        with urllib.request.urlopen(address) as got:
            assert got.read() == b"bytes of a picture"
            assert got.headers["Content-Disposition"] == 'attachment; filename="frame-1.png"'
            assert got.headers["Content-Type"] == "image/png"
        assert "X-Amz-Expires=600" in address
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(address.replace(kept, key()))

    def test_serves_a_part_of_a_film_at_a_signed_address(self, in_s3: S3Server, picture: Path) -> None:
        storage.put(path=picture, key=(kept := key()), content_type="video/mp4")
        address = storage.signed_address(kept, content_type="video/mp4")

        with urllib.request.urlopen(urllib.request.Request(address, headers={"Range": "bytes=6-7"})) as got:
            assert (got.status, got.read()) == (206, b"of")
            assert got.headers["Content-Range"] == "bytes 6-7/18"

    def test_serves_nothing_at_a_signed_address_that_is_over(
        self, in_s3: S3Server, picture: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage.put(path=picture, key=(kept := key()), content_type="image/png")
        monkeypatch.setattr(storage, "SIGNATURE_SECONDS", 1)
        address = storage.signed_address(kept, content_type="image/png")
        urllib.request.urlopen(address).close()
        time.sleep(2.1)

        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address)

        assert refused.value.code == 403

    def test_serves_nothing_for_another_secret(self, in_s3: S3Server, picture: Path, settings: Settings) -> None:
        storage.put(path=picture, key=(kept := key()), content_type="image/png")
        settings.STORAGES = settings.STORAGES | {"assets": in_s3.storage(secret_key="wrong")}

        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(storage.signed_address(kept, content_type="image/png"))
        with pytest.raises(StorageError) as fault:
            storage.put(path=picture, key=key(), content_type="image/png")

        assert (refused.value.code, fault.value.status) == (403, 403)

    @pytest.mark.parametrize("name", ['a"b.png', "a\r\nX: y.png", "\u202egnp.exe", "../../x.png", "ä" * 300, "a;b.png"])
    def test_signs_names_that_break_no_header(self, in_s3: S3Server, picture: Path, name: str) -> None:
        kept = key()
        storage.put(path=picture, key=kept, content_type="image/png")

        with urllib.request.urlopen(storage.signed_address(kept, content_type="image/png", filename=name)) as got:
            assert got.headers["Content-Disposition"].startswith("attachment")
            assert "X" not in got.headers

    def test_gives_the_public_address_where_there_is_one(self, in_s3: S3Server, settings: Settings) -> None:
        settings.S3_PUBLIC_URL = "https://cdn.example.com/storage/v1/object/public/assets"

        assert (
            storage.signed_address("7/x/y.png", content_type="image/png")
            == "https://cdn.example.com/storage/v1/object/public/assets/7/x/y.png"
        )

    @pytest.mark.parametrize(("options", "status"), [({"secret_key": "wrong"}, 403), ({"bucket_name": "none"}, 404)])
    def test_reports_the_status_of_a_refusal(
        self, s3: S3Server, settings: Settings, options: dict[str, str], status: int
    ) -> None:
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(**options)}

        with pytest.raises(StorageError) as fault:
            storage.check()

        assert fault.value.status == status

    def test_reports_nobody_at_the_door(self, s3: S3Server, settings: Settings, picture: Path) -> None:
        with raw_server() as closed:
            pass
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(endpoint_url=f"http://{closed.host}")}

        with pytest.raises(StorageError) as fault:
            storage.put(path=picture, key=key(), content_type="image/png")

        assert fault.value.status is None

    def test_reports_an_error_without_a_code(self, s3: S3Server, settings: Settings, picture: Path) -> None:
        broken = b"<?xml version='1.0'?><Error><Code></Code><Message></Message></Error>"
        with raw_server() as server:
            path = f"/assets/{(kept := key())}"
            server.acts[path] = says(answer(broken, "Content-Type: application/xml", status="503 Slow Down"))
            settings.STORAGES = settings.STORAGES | {"assets": s3.storage(endpoint_url=f"http://{server.host}")}

            with pytest.raises(StorageError) as fault:
                storage.put(path=picture, key=kept, content_type="image/png")

        assert fault.value.status == 503


def _small(folder: Path) -> Path:
    path = folder / "small"
    with path.open("wb") as file:
        file.truncate(9 * MIB)
    return path
