"""Assets deleted for good: their rows, their objects, their room, and what descendants say of them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import storage_room
from accounts.models import Alert, StorageUse, User
from gallery import audit, derivatives, purging, storage
from gallery.descriptions import update_asset
from gallery.faultpoints import Injected
from gallery.leases import claim
from gallery.models import Asset, AssetDocument, DiscardedObject, PurgedSource, ReferenceVersion, ShareLink
from gallery.search import Wanted, find_assets
from gallery.sharing import create_share_link
from gallery.tests.making import NOW, derived, make_asset, make_film
from gallery.trash import restore_asset, trash_asset

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=31)


def trashed(asset: Asset) -> Asset:
    trash_asset(asset=asset, now=NOW)
    return asset


def purge(*spared: Asset, most: int = 100) -> int:
    return purging.purge(purging.expired(now=LATER), spare=lambda: {asset.pk for asset in spared}, now=LATER, most=most)


def stored() -> set[str]:
    return {item.key for item in storage.listing()}


class TestPurge:
    def test_deletes_the_row_first_and_the_objects_when_that_is_committed(self, store: str, owner: User) -> None:
        asset = trashed(derived(make_film(owner=owner)))
        kept = make_asset(owner=owner)
        keys = {asset.storage_key} | asset.derived_keys()

        assert purge() == 1
        assert list(Asset.objects.all()) == [kept]
        assert keys <= stored()

        assert purging.delete_discarded(now=LATER) == len(keys) >= 3
        assert stored() == {kept.storage_key}
        assert not DiscardedObject.objects.exists()

    def test_waits_for_the_days_that_are_set(self, owner: User, settings: Settings) -> None:
        trashed(make_asset(owner=owner))
        settings.TRASH_DAYS = 32

        assert purge() == 0

        settings.TRASH_DAYS = 31
        assert purge() == 1

    def test_leaves_what_is_spared_restored_or_kept(self, owner: User) -> None:
        used, restored, gone = (trashed(make_asset(owner=owner)) for _ in range(3))
        make_asset(owner=owner)
        restore_asset(asset=restored)

        assert purge(used, most=1) == 1

        assert set(Asset.objects.in_trash()) == {used}
        assert restored in Asset.objects.kept() and not Asset.objects.filter(pk=gone.pk).exists()

    def test_leaves_what_is_restored_while_it_is_looked_for(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        asset = trashed(make_asset(owner=owner))
        batch = purging._purge_batch

        def late(*given: object) -> int:
            restore_asset(asset=asset)
            return batch(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(purging, "_purge_batch", late)

        assert purge() == 0
        assert Asset.objects.kept().exists() and not DiscardedObject.objects.exists()

    def test_takes_along_what_is_said_of_it_and_its_links(self, owner: User) -> None:
        asset = make_asset(owner=owner, prompt="zebra")
        update_asset(asset=asset, changes={"tags": ["lake"], "reference_name": "hero"}, now=NOW)
        create_share_link(owner=owner, to=asset, expires_at=NOW + timedelta(days=1), now=NOW)
        trashed(asset)

        assert purge() == 1

        assert not AssetDocument.objects.exists() and not ShareLink.objects.exists()
        assert find_assets(owner=owner, wanted=Wanted(q="zebra", trash=True), cursor=None, most=9) == []

    def test_deletes_a_little_at_a_time(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(purging, "BATCH", 2)
        for _ in range(5):
            trashed(make_asset(owner=owner))

        assert [purge(most=3), purge(most=3), purge(most=3)] == [3, 2, 0]


class TestDescendants:
    def test_still_say_what_they_were_made_from(self, owner: User, owners: Client) -> None:
        source = make_asset(owner=owner, frame_number=12, prompt="private words")
        update_asset(asset=source, changes={"title": "Ferry", "reference_name": "hero"}, now=NOW)
        made = make_asset(
            owner=owner, made_from=[source.pk], settings={"image": str(source.pk)}, now=NOW + timedelta(minutes=1)
        )
        trashed(source)

        purge()

        page = owners.get(f"/gallery/{made.pk}/").content.decode()
        assert "Made from frame 12 (@hero v1), deleted since." in page
        assert str(source.pk) not in page and "private words" not in page

    def test_do_not_say_a_version_that_came_later(self, owner: User) -> None:
        source = make_asset(owner=owner)
        make_asset(owner=owner, made_from=[source.pk])
        update_asset(asset=source, changes={"reference_name": "hero"}, now=NOW + timedelta(minutes=1))
        trashed(source)

        purge()

        assert PurgedSource.objects.get().version is None

    def test_do_not_hear_of_it_when_they_go_along(self, owner: User) -> None:
        source = trashed(make_asset(owner=owner))
        trashed(make_asset(owner=owner, made_from=[source.pk]))

        assert purge() == 2
        assert not PurgedSource.objects.exists()

    def test_leave_the_next_version_its_number(self, owner: User) -> None:
        for number in (1, 2):
            asset = make_asset(owner=owner)
            update_asset(asset=asset, changes={"reference_name": "hero"}, now=NOW, moving=True)
            trashed(asset)
            purge()
            assert ReferenceVersion.objects.filter(name="hero", asset=None).count() == number

        assert sorted(ReferenceVersion.objects.values_list("version", flat=True)) == [1, 2]


class TestDiscardedObjects:
    def test_wait_while_the_store_is_away(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        asset = trashed(make_asset(owner=owner))
        purge()

        def away() -> None:
            raise storage.StorageError("away")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "check", away)
            with pytest.raises(storage.StorageError):
                purging.delete_discarded(now=LATER)

        assert DiscardedObject.objects.filter(pk=asset.storage_key, tries=0).exists()
        assert purging.delete_discarded(now=LATER) == 1

    @pytest.mark.parametrize("how", ["refused", "still there"])
    def test_are_tried_again_later_when_one_is_not_deleted(
        self, owner: User, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stubborn, _ = trashed(make_asset(owner=owner)), trashed(make_asset(owner=owner))
        purge()
        delete = storage.delete

        def refuse(key: str) -> None:
            if key != stubborn.storage_key:
                delete(key)
            elif how == "refused":
                raise storage.StorageError("no", status=403)

        monkeypatch.setattr(storage, "delete", refuse)
        assert purging.delete_discarded(now=LATER) == 1
        assert purging.delete_discarded(now=LATER) == 0

        monkeypatch.undo()
        left = DiscardedObject.objects.get()
        assert (left.key, left.tries, left.due_at) == (stubborn.storage_key, 1, LATER + timedelta(minutes=1))
        assert purging.delete_discarded(now=left.due_at) == 1
        assert storage_room.room_of(owner.pk).used == 0 and stored() == set()

    def test_that_are_never_deleted_are_told(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        asset = trashed(make_asset(owner=owner))
        purge()

        with monkeypatch.context() as patch:
            patch.setattr(storage, "delete", lambda key: None)
            for day in range(6):
                assert not Alert.objects.exists()
                purging.delete_discarded(now=LATER + timedelta(days=day))
        assert asset.storage_key in Alert.objects.get(name="objects_undeleted", over_at=None).detail

        purging.delete_discarded(now=LATER + timedelta(days=7))
        assert Alert.objects.get().over_at

    def test_survive_a_death_before_they_are_forgotten(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        trashed(make_asset(owner=owner))
        purge()
        monkeypatch.setenv("FAULT", "purge.deleted:raise")

        with pytest.raises(Injected):
            purging.delete_discarded(now=LATER)

        monkeypatch.delenv("FAULT")
        assert storage_room.room_of(owner.pk).used > 0
        assert purging.delete_discarded(now=LATER) == 1
        assert storage_room.room_of(owner.pk).used == 0

    def test_are_not_there_when_the_deletion_is_taken_back(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        trashed(make_asset(owner=owner))
        monkeypatch.setenv("FAULT", "purge.before_commit:raise")

        with pytest.raises(Injected):
            purge()

        assert Asset.objects.count() == 1 and not DiscardedObject.objects.exists()

    def test_of_two_workers_free_their_room_once(self, owner: User) -> None:
        trashed(make_asset(owner=owner))
        kept = make_asset(owner=owner)
        purge()
        rows = list(DiscardedObject.objects.all())

        purging._forget(rows)
        purging._forget(rows)

        assert storage_room.room_of(owner.pk).used == kept.size_bytes

    def test_are_no_orphans(self, owner: User) -> None:
        asset = trashed(make_asset(owner=owner))
        purge()

        assert audit.collect_orphans(now=LATER, older_than=timedelta(seconds=-1)).found == 0
        assert asset.storage_key in stored()


class TestDeriving:
    def test_while_it_is_purged_leaves_no_object(self, store: str, owner: User) -> None:
        asset = make_film(owner=owner)
        [leased] = claim(Asset.objects.filter(pk=asset.pk))
        trashed(asset)
        purge()

        derivatives.derive(leased)
        purging.delete_discarded(now=LATER)

        assert stored() == set() and not Asset.objects.exists()


class TestRoom:
    def test_is_taken_with_the_row_and_free_when_the_object_is_gone(self, owner: User) -> None:
        asset = make_asset(owner=owner)
        assert storage_room.room_of(owner.pk).used == asset.size_bytes

        trashed(asset)
        purge()
        assert storage_room.room_of(owner.pk).used == asset.size_bytes

        purging.delete_discarded(now=LATER)
        assert storage_room.room_of(owner.pk).used == 0

    def test_is_taken_once_by_an_output_that_comes_twice(self, owner: User) -> None:
        prediction_id = uuid4()
        first = make_asset(owner=owner, prediction_id=prediction_id)

        assert make_asset(owner=owner, prediction_id=prediction_id) == first
        assert storage_room.room_of(owner.pk).used == first.size_bytes

    def test_is_counted_anew_from_the_assets(self, owner: User, stranger: User) -> None:
        kept, gone = make_asset(owner=owner), trashed(make_asset(owner=owner))
        purge()
        StorageUse.objects.filter(pk=owner.pk).update(used_bytes=7)

        [sentence] = purging.recount_room()

        assert sentence == f"user {owner.pk} was said to store 7 bytes; it is {kept.size_bytes + gone.size_bytes}"
        assert purging.recount_room() == []
