"""Assets without their objects, and objects without an asset."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Alert, User
from gallery import audit, storage
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.tests.making import derived, make_asset, make_film
from gallery.tests.rawserver import raw_server
from gallery.tests.s3server import S3Server

pytestmark = pytest.mark.django_db
NOW = timezone.now()
LATER = NOW + timedelta(days=2)


def take_away(key: str) -> bytes:
    """Delete the object behind the product's back; returns its bytes."""
    with storage.as_file(key) as path:
        content = path.read_bytes()
    storage.delete(key)
    return content


def bring_back(key: str, content: bytes, folder: Path) -> None:
    path = folder / "again"
    path.write_bytes(content)
    storage.put(path=path, key=key, content_type="image/png")


def left_behind(folder: Path, name: str = "") -> str:
    """An object that no asset names."""
    key = name or storage.new_key(owner_id=7, output_id=uuid4(), extension="png")
    bring_back(key, b"nobody's", folder)
    return key


def is_missing(asset: Asset) -> bool:
    return Asset.objects.get(pk=asset.pk).missing_at is not None


class TestAudit:
    def test_finds_nothing_wrong_with_what_is_whole(self, store: str, owner: User) -> None:
        derived(make_film(owner=owner))

        found = audit.audit(now=NOW)

        assert (found.looked_at, found.missing, found.remade, found.last) == (1, [], 0, None)
        assert not Alert.objects.exists()

    def test_flags_what_is_gone_and_unflags_what_is_back(self, store: str, owner: User, tmp_path: Path) -> None:
        asset = make_asset(owner=owner)
        content = take_away(asset.storage_key)

        [line] = audit.audit(now=NOW).missing

        assert line == f"the file of asset {asset.pk} is missing: {asset.storage_key}"
        assert is_missing(asset)
        assert str(asset.pk) in Alert.objects.get(name="objects_missing", over_at=None).detail

        bring_back(asset.storage_key, content, tmp_path)

        assert audit.audit_missing(now=LATER).missing == []
        assert not is_missing(asset)
        assert Alert.objects.get().over_at == LATER

    def test_flags_what_was_cut_short(self, store: str, owner: User, tmp_path: Path) -> None:
        asset = make_asset(owner=owner)
        content = take_away(asset.storage_key)
        bring_back(asset.storage_key, content[:-1], tmp_path)

        [line] = audit.audit(now=NOW).missing

        assert f"has {len(content) - 1} bytes instead of {len(content)}" in line
        assert is_missing(asset)

    def test_keeps_the_time_of_the_first_flag(self, owner: User) -> None:
        asset = make_asset(owner=owner)
        take_away(asset.storage_key)

        for now in (NOW, LATER):
            assert audit.audit(now=now).missing

        assert Asset.objects.get().missing_at == NOW

    def test_tells_of_each_file_once(self, owner: User) -> None:
        for now in (NOW, NOW + timedelta(hours=1)):
            take_away(make_asset(owner=owner).storage_key)
            for again in range(2):
                audit.audit(now=now + timedelta(minutes=again))

        alert = Alert.objects.get()
        assert (alert.count, alert.detail.split()[0]) == (2, "2")

    def test_lets_derivatives_that_are_gone_be_made_anew(self, store: str, owner: User) -> None:
        asset = derived(make_film(owner=owner))
        storage.delete(asset.poster_key)

        assert audit.audit(now=NOW).remade == 1

        assert not Asset.objects.get().poster_key
        assert storage.size_of(asset.preview_key) and Asset.objects.get().preview_key == asset.preview_key
        assert derived(asset).poster_key != asset.poster_key
        assert not is_missing(asset)

    def test_leaves_derivatives_alone_that_somebody_makes(self, owner: User) -> None:
        asset = derived(make_asset(owner=owner))
        storage.delete(asset.thumbnail_key)
        Asset.objects.update(due_at=NOW)

        assert audit.audit(now=LATER).remade == 0

        assert Asset.objects.get().thumbnail_key == asset.thumbnail_key

    def test_goes_on_where_it_ended(self, owner: User) -> None:
        assets = [make_asset(owner=owner) for _ in range(3)]
        take_away(assets[2].storage_key)

        first = audit.audit(now=NOW, limit=2)
        second = audit.audit(now=NOW, limit=2, after=first.last)

        assert (first.looked_at, first.missing, first.last) == (2, [], assets[1].pk)
        assert (second.looked_at, len(second.missing), second.last) == (1, 1, None)

    def test_says_nothing_of_an_asset_that_was_deleted_meanwhile(
        self, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asset = make_asset(owner=owner)

        def deleted(keys: list[str]) -> dict[str, int | None]:
            Asset.objects.filter(pk=asset.pk).delete()
            return dict.fromkeys(keys)

        monkeypatch.setattr(audit, "_sizes", deleted)

        assert audit.audit(now=NOW).missing == []
        assert not Alert.objects.exists()

    @pytest.mark.parametrize("options", [{"bucket_name": "none"}, {"secret_key": "wrong"}, {"endpoint_url": "closed"}])
    def test_flags_nothing_when_the_store_cannot_say(
        self, s3: S3Server, settings: Settings, owner: User, options: dict[str, str]
    ) -> None:
        asset = make_asset(owner=owner)
        if "endpoint_url" in options:
            with raw_server() as closed:
                options = {"endpoint_url": f"http://{closed.host}"}
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(**options)}

        with pytest.raises(StorageError):
            audit.audit(now=NOW)

        assert not is_missing(asset)


class TestOrphans:
    def test_are_deleted_when_they_are_old(self, store: str, owner: User, tmp_path: Path) -> None:
        asset = derived(make_film(owner=owner))
        orphan = left_behind(tmp_path)

        found = audit.collect_orphans(now=LATER)

        assert found == audit.Orphans(found=1, deleted=1, withheld=False)
        assert storage.size_of(orphan) is None
        assert audit.audit(now=LATER).missing == []
        assert all(storage.size_of(key) for key in asset.derived_keys())

    def test_are_left_while_their_asset_may_be_on_its_way(self, store: str, tmp_path: Path) -> None:
        orphan = left_behind(tmp_path)

        found = audit.collect_orphans(now=timezone.now() + timedelta(hours=23))

        assert found.found == 0
        assert storage.size_of(orphan)

    def test_are_only_counted_when_they_are_to_be_kept(self, store: str, tmp_path: Path) -> None:
        orphan = left_behind(tmp_path)

        assert audit.collect_orphans(now=LATER, keep=True) == audit.Orphans(found=1, deleted=0, withheld=False)

        assert storage.size_of(orphan)

    def test_are_none_when_the_asset_came_meanwhile(
        self, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asset, orphan = make_asset(owner=owner), left_behind(tmp_path)
        named, enters = audit._named, iter([False, True])

        def entered(keys: list[str]) -> set[str]:
            if next(enters, False):
                Asset.objects.filter(pk=asset.pk).update(storage_key=orphan)
            return named(keys)

        monkeypatch.setattr(audit, "_named", entered)

        assert audit.collect_orphans(now=LATER) == audit.Orphans(found=1, deleted=0, withheld=False)

        assert storage.size_of(orphan)

    @pytest.mark.parametrize("name", ["logo.png", "7/upload/readme.txt", "backup/7/x/y.png", "7/x/y/z.png"])
    def test_have_keys_of_ours(self, tmp_path: Path, name: str) -> None:
        left_behind(tmp_path, name)

        assert audit.collect_orphans(now=LATER).found == 0

        assert storage.size_of(name)

    def test_are_kept_when_the_database_seems_to_be_another(self, tmp_path: Path, owner: User) -> None:
        make_asset(owner=owner)
        for _ in range(audit.FEW_ORPHANS + 1):
            left_behind(tmp_path)

        found = audit.collect_orphans(now=LATER)

        assert (found.deleted, found.withheld) == (0, True)
        assert sum(1 for _ in storage.listing()) == audit.FEW_ORPHANS + 2

    def test_are_looked_for_on_every_page(self, owner: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "PAGE", 2)
        for _ in range(5):
            make_asset(owner=owner)
            left_behind(tmp_path)

        assert audit.collect_orphans(now=LATER).deleted == 5

        assert audit.audit(now=LATER).missing == []

    def test_are_not_what_an_asset_names_by_any_of_its_keys(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "PAGE", 1)
        derived(make_film(owner=owner))

        assert audit.collect_orphans(now=LATER).found == 0

    def test_are_looked_up_by_indexes_alone(self, owner: User) -> None:
        asset = derived(make_asset(owner=owner))

        with CaptureQueriesContext(connection) as asked:
            audit._named([asset.storage_key, *asset.derived_keys()])

        assert len(asked) == 2
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")
            for query in asked.captured_queries:
                cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{query['sql']}")
                plan = str(cursor.fetchall())
                assert "SCAN" not in plan and "Seq Scan" not in plan

    def test_of_one_pass_are_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "MOST_ORPHANS", 2)
        for _ in range(3):
            left_behind(tmp_path)

        assert audit.collect_orphans(now=LATER) == audit.Orphans(found=3, deleted=2, withheld=False)
        assert audit.collect_orphans(now=LATER) == audit.Orphans(found=1, deleted=1, withheld=False)


class TestMissingFile:
    SENTENCE = "The file is missing from the store. An administrator has been told."

    @pytest.fixture
    def missing(self, owner: User) -> Asset:
        asset = derived(make_asset(owner=owner))
        take_away(asset.storage_key)
        return asset

    def test_is_said_on_the_page_at_once(self, missing: Asset, owners: Client) -> None:
        page = owners.get(f"/gallery/{missing.pk}/").content.decode()

        assert self.SENTENCE in page
        assert f"/assets/{missing.pk}/file" not in page
        assert Alert.objects.filter(name="objects_missing").exists()

    def test_is_said_no_longer_when_it_is_back(self, missing: Asset, owners: Client, tmp_path: Path) -> None:
        audit.audit(now=NOW)
        (path := Path(configured.ASSETS_DIR) / missing.storage_key).write_bytes(b"x" * missing.size_bytes)

        assert path.is_file()
        assert self.SENTENCE not in owners.get(f"/gallery/{missing.pk}/").content.decode()
        assert not is_missing(missing)

    def test_is_said_in_the_gallery(self, missing: Asset, owners: Client) -> None:
        audit.audit(now=NOW)

        page = owners.get("/gallery/").content.decode()

        assert "The file is missing" in page
        assert f"/assets/{missing.pk}/thumbnail" in page

    @pytest.mark.parametrize("flagged", [True, False])
    def test_is_not_found(self, missing: Asset, owners: Client, flagged: bool) -> None:
        if flagged:
            audit.audit(now=NOW)

        assert owners.get(f"/assets/{missing.pk}/file").status_code == 404
        assert owners.get(f"/assets/{missing.pk}/thumbnail").status_code == 200

    def test_at_a_store_over_the_network_is_not_looked_for_while_a_page_waits(
        self, in_s3: S3Server, missing: Asset, owners: Client
    ) -> None:
        assert self.SENTENCE not in owners.get(f"/gallery/{missing.pk}/").content.decode()

        audit.audit(now=NOW)

        assert self.SENTENCE in owners.get(f"/gallery/{missing.pk}/").content.decode()
        assert owners.get(f"/assets/{missing.pk}/file").status_code == 404

    def test_that_cannot_be_read_is_no_fault_of_the_server(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        storage.delete(asset.storage_key)
        (Path(configured.ASSETS_DIR) / asset.storage_key).mkdir()

        response = owners.get(f"/assets/{asset.pk}/file")

        assert (response.status_code, response["Cache-Control"]) == (503, "no-store")
