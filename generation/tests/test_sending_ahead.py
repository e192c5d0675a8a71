"""A large output is on its way to the store while it is still being fetched, and no promise suffers from it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from gallery import storage
from gallery.models import Asset
from gallery.parts import Parts
from gallery.tests.s3server import S3Server
from generation.models import Output, StorageState
from generation.sandbox.running import RunningSandbox
from generation.tests.storing import bring_home, let_pass
from generation.tests.test_storing_outputs import scratch, storing
from generation.work import spool, store, store_circuit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
MIB = 1024 * 1024
COMMENT = b"\xff\xfe\xff\xff" + bytes(0xFFFD)


@pytest.fixture(autouse=True)
def bucket(s3: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket for this test alone, and parts as small as its server takes them."""
    client, name = s3.client(), f"ahead-{uuid4()}"
    client.create_bucket(Bucket=name)
    settings.STORAGES = settings.STORAGES | {"assets": s3.storage(bucket_name=name)}
    monkeypatch.setattr(storage, "PART_BYTES", 5 * MIB)
    yield name
    for item in client.list_objects_v2(Bucket=name).get("Contents", []):
        client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with the key of each file that is put as a whole."""
    done, put = [], storage.put

    def noted(**given: Any) -> None:
        done.append(given["key"])
        put(**given)

    monkeypatch.setattr(storage, "put", noted)
    return done


def large(sandbox: RunningSandbox, *, end: bool = True) -> bytes:
    """Make a prediction whose picture has twelve mebibytes that show nothing, or no end; returns what it is."""
    storing(sandbox)
    key = sandbox.predictions()[0].id
    path = sandbox.sandbox.studio.folder(key) / sandbox.prediction(key).files[0]
    data = path.read_bytes()
    made = data[:2] + COMMENT * (12 * MIB // len(COMMENT)) + data[2 : None if end else -2]
    path.write_bytes(made)
    return made


def left(s3: S3Server, bucket: str) -> list[Any]:
    client = s3.client()
    listed, begun = client.list_objects_v2(Bucket=bucket), client.list_multipart_uploads(Bucket=bucket)
    return [*listed.get("Contents", []), *begun.get("Uploads", [])]


def breaking(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The store breaks off at the second part."""
    send = Parts.send

    def cut(self: Parts, number: int, part: bytes) -> None:
        if number == 2:
            raise OSError("cut")
        send(self, number, part)

    monkeypatch.setattr(Parts, "send", cut)
    return monkeypatch


class TestALargeOutput:
    def test_is_stored_without_being_put_as_a_whole(self, sandbox: RunningSandbox, puts: list[str]) -> None:
        made = large(sandbox)

        bring_home()

        asset = Asset.objects.get()
        assert puts == []
        assert b"".join(storage.read_chunks(asset.storage_key)) == made
        assert asset.size_bytes == len(made)

    def test_is_fetched_on_and_stored_at_its_end_when_the_database_cannot_say_whether_to_send(
        self, sandbox: RunningSandbox, puts: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unanswered() -> bool:
            raise OperationalError("the database does not answer")

        made = large(sandbox)
        monkeypatch.setattr(store_circuit, "is_open", unanswered)

        bring_home()

        asset = Asset.objects.get()
        assert len(puts) == 1
        assert b"".join(storage.read_chunks(asset.storage_key)) == made

    def test_waits_in_the_spool_when_the_store_breaks_off_and_is_not_fetched_again(
        self,
        sandbox: RunningSandbox,
        s3: S3Server,
        bucket: str,
        puts: list[str],
        data_dir: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        made = large(sandbox)
        with monkeypatch.context() as patch:
            breaking(patch)
            bring_home()

        output = Output.objects.get()
        assert (output.state, output.error_code) == ("waiting", "storage_unavailable")
        kept = spool.spooled(output)
        assert kept is not None and kept.read_bytes() == made
        assert left(s3, bucket) == [] and scratch(data_dir) == []
        assert StorageState.objects.get().faults == 1
        monkeypatch.setattr(store, "_fetch", lambda *_: pytest.fail("it was fetched again"))
        let_pass(120)
        bring_home()
        assert b"".join(storage.read_chunks(Asset.objects.get().storage_key)) == made
        assert len(puts) == 1

    def test_that_is_no_whole_picture_leaves_nothing(self, sandbox: RunningSandbox, s3: S3Server, bucket: str) -> None:
        large(sandbox, end=False)

        bring_home()

        assert Output.objects.get().error_code == "file_unusable"
        assert left(s3, bucket) == []

    def test_is_not_sent_while_the_store_is_shut(
        self, sandbox: RunningSandbox, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = large(sandbox)
        closed = timezone.now() + timedelta(minutes=1)
        StorageState.objects.create(store="assets", faults=2, closed_until=closed)
        monkeypatch.setattr(storage, "begin", lambda **_: pytest.fail("it was sent"))

        bring_home()

        output = Output.objects.get()
        kept = spool.spooled(output)
        assert kept is not None and kept.read_bytes() == made
        assert left(s3, bucket) == []
