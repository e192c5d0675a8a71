"""Emptying the trash, by time and by hand, and what keeps an asset in it."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import storage_room
from accounts.models import User
from gallery import storage
from gallery.models import Asset, DiscardedObject
from gallery.tests.making import make_asset
from gallery.trash import trash_asset
from generation import lifecycle
from generation.models import Prediction
from generation.tests.making import BANANA, make_prediction, make_user
from generation.work import purging
from generation.work.chores import chores

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(db: None) -> User:
    return make_user()


def trashed(owner: User, *, days: int = 0) -> Asset:
    asset = make_asset(owner=owner, now=timezone.now())
    trash_asset(asset=asset, now=timezone.now() - timedelta(days=days))
    return asset


def used_by(asset: Asset) -> Prediction:
    return make_prediction(user=asset.owner, model=BANANA, image_input=[str(asset.pk)], now=timezone.now())


class TestChores:
    def test_delete_for_good_what_was_trashed_thirty_days_ago(self, ada: User) -> None:
        gone, young = trashed(ada, days=30), trashed(ada, days=29)

        purging.purge_expired(now=timezone.now())

        assert list(Asset.objects.all()) == [young]
        assert storage.size_of(gone.storage_key) is None and storage.size_of(young.storage_key)

    def test_leave_what_work_in_progress_is_made_from(self, ada: User) -> None:
        asset = trashed(ada, days=31)
        prediction = used_by(asset)

        purging.purge_expired(now=timezone.now())
        assert Asset.objects.exists()

        lifecycle.cancel_prediction(prediction=prediction, now=timezone.now())
        purging.purge_expired(now=timezone.now())
        assert not Asset.objects.exists()

    def test_leave_what_work_begins_with_meanwhile(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        trashed(ada, days=32)
        second = trashed(ada, days=31)
        monkeypatch.setattr("gallery.purging.BATCH", 1)
        monkeypatch.setattr("gallery.purging.forget_words", lambda assets: used_by(second))

        purging.purge_expired(now=timezone.now())

        assert list(Asset.objects.all()) == [second]

    def test_delete_objects_later_when_the_store_is_away(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        asset = trashed(ada, days=31)

        def away() -> None:
            raise storage.StorageError("away")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "check", away)
            purging.purge_expired(now=timezone.now())
        assert DiscardedObject.objects.exists() and storage.size_of(asset.storage_key)

        purging.purge_expired(now=timezone.now())
        assert not DiscardedObject.objects.exists() and storage.size_of(asset.storage_key) is None

    def test_are_done_by_the_worker(self, ada: User, sandbox: object) -> None:
        trashed(ada, days=31)

        chores()

        assert not Asset.objects.exists()


class TestEmptyTrash:
    def test_deletes_one_s_own_for_good(self, ada: User, client: Client) -> None:
        ben = make_user(username="ben")
        for owner in (ada, ada, ben):
            trashed(owner)
        kept = make_asset(owner=ada)
        client.force_login(ada)
        assert 'action="/gallery/trash/empty"' in client.get("/gallery/?trash=1").content.decode()

        answer = client.post("/gallery/trash/empty", follow=True)

        assert "2 frames deleted for good." in answer.content.decode()
        assert "The trash is empty" in answer.content.decode()
        assert [asset.owner for asset in Asset.objects.in_trash()] == [ben]
        assert list(Asset.objects.for_owner(ada)) == [kept]

    def test_says_what_stays(self, ada: User, client: Client) -> None:
        used_by(trashed(ada))
        client.force_login(ada)

        answer = client.post("/gallery/trash/empty", follow=True).content.decode()

        assert "0 frames deleted for good. What work in progress is made from is still here" in answer

    def test_goes_on_with_what_was_too_much(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(purging, "MOST", 2)
        for _ in range(3):
            trashed(ada)

        assert purging.empty_trash(owner=ada, now=timezone.now()) == (2, True)
        assert purging.empty_trash(owner=ada, now=timezone.now()) == (1, False)

    def test_wants_a_post_of_somebody_signed_in(self, ada: User, client: Client) -> None:
        trashed(ada)

        assert client.post("/gallery/trash/empty").status_code == 302
        client.force_login(ada)
        assert client.get("/gallery/trash/empty").status_code == 405
        assert Client(enforce_csrf_checks=True).post("/gallery/trash/empty").status_code == 403
        assert Asset.objects.exists()

    def test_is_not_offered_where_there_is_nothing(self, ada: User, client: Client) -> None:
        client.force_login(ada)

        assert "/gallery/trash/empty" not in client.get("/gallery/?trash=1").content.decode()


class TestFullStorage:
    @pytest.fixture
    def full(self, ada: User) -> User:
        make_asset(owner=ada)
        User.objects.filter(pk=ada.pk).update(storage_bytes_limit=1)
        return ada

    def test_lets_nothing_new_be_made(self, full: User) -> None:
        with pytest.raises(storage_room.StorageFull):
            make_prediction(user=full)

        assert not Prediction.objects.exists()

    def test_is_said_to_programs(self, full: User, client: Client) -> None:
        client.force_login(full)
        body = {"prompt": "a lake"}

        refused = client.post("/api/generation/image", body, content_type="application/json")
        estimate = client.post("/api/generation/estimate", body, content_type="application/json").json()

        assert (refused.status_code, refused.json()["code"]) == (403, "storage_full")
        assert refused.json()["charged"] == "none" and "empty the trash" in refused.json()["detail"]
        assert refused.json()["limit"] == {"scope": "user", "unit": "bytes", "amount": 1}
        assert estimate["allowed"] is False and estimate["reason"].startswith("Your storage is full")

    def test_is_said_on_the_page(self, full: User, client: Client) -> None:
        client.force_login(full)

        answer = client.post("/generate", {"prompt": "a lake", "model": BANANA, "key": uuid.uuid4().hex})

        assert "Your storage is full" in answer.content.decode()

    def test_is_not_told_twice_of_what_was_asked_before(self, ada: User) -> None:
        first = make_prediction(user=ada, key="once")
        User.objects.filter(pk=ada.pk).update(storage_bytes_limit=0)

        assert make_prediction(user=ada, key="once") == first
