"""`manage.py collect_garbage`: what is nobody's in the store, and what rows lack there."""

import os
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Alert, User
from gallery import purging, storage
from gallery.models import Asset, DiscardedObject
from gallery.tests.making import make_asset
from gallery.tests.s3server import S3Server
from gallery.trash import trash_asset

pytestmark = pytest.mark.django_db


def collect(*words: str) -> list[str]:
    out = StringIO()
    call_command("collect_garbage", *words, stdout=out)
    return out.getvalue().splitlines()


def left_behind(folder: Path, *, hours: int) -> str:
    """An object in the local store that no asset names, so old."""
    key = storage.new_key(owner_id=7, output_id=uuid4(), extension="png")
    path = folder / "nobodys"
    path.write_bytes(b"nobody's")
    storage.put(path=path, key=key, content_type="image/png")
    stored = Path(configured.STORAGES["assets"]["OPTIONS"]["location"]) / key
    os.utime(stored, (time.time() - hours * 3600,) * 2)
    return key


class TestCollectGarbage:
    def test_deletes_what_is_nobody_s_and_old_enough(self, owner: User, tmp_path: Path) -> None:
        asset = make_asset(owner=owner)
        old, young = left_behind(tmp_path, hours=25), left_behind(tmp_path, hours=23)

        assert f"no asset: {old}" in (rehearsed := collect("--dry-run"))
        assert "1 objects have no asset" in rehearsed and storage.size_of(old)

        assert "1 objects have no asset; 1 of them deleted" in collect()
        assert storage.size_of(old) is None
        assert storage.size_of(young) and storage.size_of(asset.storage_key)

        collect("--older-than", "22")
        assert storage.size_of(young) is None

    def test_names_assets_whose_file_is_gone(self, owner: User, capsys: pytest.CaptureFixture[str]) -> None:
        asset = make_asset(owner=owner)
        storage.delete(asset.storage_key)

        for words, flagged in (["--dry-run"], False), ([], True):
            with pytest.raises(SystemExit) as end:
                call_command("collect_garbage", *words)
            assert end.value.code == 1
            assert f"WRONG: the file of asset {asset.pk} is missing" in capsys.readouterr().out
            assert Asset.objects.filter(missing_at=None).exists() is not flagged
            assert Alert.objects.exists() is flagged

    def test_deletes_nothing_in_a_store_that_is_rather_another_s(
        self, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gallery.audit.FEW_ORPHANS", 1)
        keys = [left_behind(tmp_path, hours=25) for _ in range(2)]

        with pytest.raises(SystemExit):
            collect()

        assert all(storage.size_of(key) for key in keys)

    def test_deletes_what_purged_assets_have_left(self, owner: User) -> None:
        asset = make_asset(owner=owner)
        trash_asset(asset=asset, now=timezone.now())
        purging.purge(Asset.objects.all(), now=timezone.now(), most=1)

        assert "1 objects of purged assets are still to be deleted" in collect("--dry-run")
        assert "1 objects of purged assets deleted, 0 objects of purged assets are still to be deleted" in collect()
        assert storage.size_of(asset.storage_key) is None and not DiscardedObject.objects.exists()

    def test_takes_back_uploads_that_died(
        self, own_bucket: str, s3: S3Server, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = storage.new_key(owner_id=owner.pk, output_id=uuid4(), extension="mp4")
        s3.client().create_multipart_upload(Bucket=own_bucket, Key=key)
        monkeypatch.setattr("gallery.audit.UPLOAD_ENDS_WITHIN", timedelta(seconds=-60))

        assert "1 abandoned uploads" in collect("--dry-run")
        assert "1 abandoned uploads taken back" in collect()
        assert "0 abandoned uploads taken back" in collect()

    def test_takes_no_age_at_which_an_asset_may_be_on_its_way(self) -> None:
        with pytest.raises(CommandError, match="at least 1"):
            collect("--older-than", "0")

    def test_says_when_the_store_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def away() -> None:
            raise storage.StorageError("asking the store: away")

        monkeypatch.setattr(storage, "listing", away)

        with pytest.raises(CommandError, match="could not be looked through"):
            collect()
