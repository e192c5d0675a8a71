"""What is looked at each hour and each day, by one process."""

import os
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.core.mail import EmailMessage
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Alert, LedgerEntry, QuotaPeriod, User
from gallery import storage
from gallery.models import Asset
from gallery.tests.making import make_asset
from generation.models import Prediction, StorageState
from generation.sandbox.running import RunningSandbox
from generation.tests.making import make_user
from generation.tests.test_reconcile import doubtful, lost, sends_again
from generation.work import doubt, rounds
from generation.work.chores import chores
from generation.work.rounds import make_rounds

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def without_webhooks(settings: Settings, sandbox: RunningSandbox, in_files: None) -> None:
    settings.WEBHOOK_ORIGIN = ""


@pytest.fixture
def owner() -> User:
    return make_user()


def path_of(asset: Asset) -> Path:
    return Path(configured.ASSETS_DIR) / asset.storage_key


def old_orphan(folder: Path) -> str:
    (folder / "old").write_bytes(b"x")
    key = storage.new_key(owner_id=7, output_id="upload", extension="png")
    storage.put(path=folder / "old", key=key, content_type="image/png")
    two_days_ago = (timezone.now() - timedelta(days=2)).timestamp()
    os.utime(Path(configured.ASSETS_DIR) / key, (two_days_ago, two_days_ago))
    return key


def refuse(settings: Settings, folder: Path) -> None:
    (folder / "blocked").write_text("a file where a folder should be")
    options = {"location": str(folder / "blocked")}
    settings.STORAGES = settings.STORAGES | {
        "assets": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    }


class TestHourlyRound:
    def test_comes_once_an_hour(self, sandbox: RunningSandbox) -> None:
        for minutes in (0, 15, 59, 60, 61):
            make_rounds(now=NOW + timedelta(minutes=minutes))

        assert len(sandbox.log("list")) == 2

    def test_is_won_by_one_process(self) -> None:
        StorageState.objects.create(store="assets")

        assert rounds._won("audited_at", None, HOUR, NOW)
        assert not rounds._won("audited_at", None, HOUR, NOW)
        assert rounds._won("audited_at", NOW, HOUR, NOW + HOUR)

    def test_goes_through_all_assets_in_turn(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rounds, "SAMPLE", 2)
        assets = [make_asset(owner=owner) for _ in range(3)]
        reached = []

        for hour in range(3):
            make_rounds(now=NOW + hour * HOUR)
            reached.append(StorageState.objects.get().audited_to)

        assert reached == [assets[1].pk, None, assets[1].pk]

    def test_tells_of_a_missing_object_and_when_it_is_back(self, owner: User) -> None:
        asset = make_asset(owner=owner)
        content = path_of(asset).read_bytes()
        path_of(asset).unlink()

        make_rounds(now=NOW)

        assert Asset.objects.get().missing_at == NOW
        assert Alert.objects.get(name="objects_missing").over_at is None

        path_of(asset).write_bytes(content)
        make_rounds(now=NOW + HOUR)

        assert Asset.objects.get().missing_at is None
        assert Alert.objects.get(name="objects_missing").over_at == NOW + HOUR

    def test_looks_again_at_what_is_missing_before_its_turn(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rounds, "SAMPLE", 1)
        first, *_ = [make_asset(owner=owner) for _ in range(5)]
        Asset.objects.filter(pk=first.pk).update(missing_at=NOW)
        StorageState.objects.create(store="assets", audited_to=first.pk)

        make_rounds(now=NOW)

        first.refresh_from_db()
        assert first.missing_at is None

    def test_sets_counters_right_and_tells(self) -> None:
        QuotaPeriod.objects.create(scope="user:7", period="day", starts_on=NOW.date(), settled_micros=5)

        make_rounds(now=NOW)

        assert QuotaPeriod.objects.get().settled_micros == 0
        assert Alert.objects.get(name="balances_differed").over_at is None

        make_rounds(now=NOW + HOUR)

        assert Alert.objects.get(name="balances_differed").over_at == NOW + HOUR

    def test_finds_a_lost_attempt(self, sandbox: RunningSandbox) -> None:
        lost(sandbox)

        for hour in (0, 1):
            make_rounds(now=timezone.now() + hour * HOUR)

        assert LedgerEntry.objects.filter(kind="correct").count() == 1

    def test_leaves_alone_what_a_worker_is_just_sending(self, sandbox: RunningSandbox) -> None:
        attempt = doubtful(sandbox)
        sent = Prediction.objects.filter(pk=attempt.prediction_id)
        sent.update(lease_until=NOW + HOUR, lease_token=uuid4())

        make_rounds(now=timezone.now())
        attempt.refresh_from_db()
        assert attempt.provider_id is None

        sent.update(lease_until=None, lease_token=None)
        make_rounds(now=timezone.now() + HOUR)
        attempt.refresh_from_db()
        assert attempt.provider_id

    def test_tells_of_what_cannot_be_told_apart(self, sandbox: RunningSandbox) -> None:
        attempt = doubtful(sandbox)
        sends_again(attempt)

        make_rounds(now=timezone.now() + doubt.VERDICT_AFTER + timedelta(seconds=1))

        assert str(attempt.pk) in Alert.objects.get(name="predictions_unclear", over_at=None).detail

    def test_survives_a_provider_and_a_store_that_are_away(self, settings: Settings, tmp_path: Path) -> None:
        settings.PROVIDER_URL = "http://127.0.0.1:1"
        refuse(settings, tmp_path)

        make_rounds(now=NOW)

        assert not Alert.objects.exists()


class TestDailyRound:
    def test_deletes_old_objects_that_no_asset_names(self, tmp_path: Path, owner: User) -> None:
        asset, key = make_asset(owner=owner), old_orphan(tmp_path)

        make_rounds(now=timezone.now())

        assert storage.size_of(key) is None
        assert path_of(asset).exists()

    def test_comes_once_a_day(self, tmp_path: Path) -> None:
        now = timezone.now()
        make_rounds(now=now)
        key = old_orphan(tmp_path)

        make_rounds(now=now + timedelta(hours=23))
        assert storage.size_of(key)

        make_rounds(now=now + timedelta(hours=24))
        assert storage.size_of(key) is None

    def test_tells_when_the_database_seems_to_be_anothers(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gallery.audit.FEW_ORPHANS", 0)
        key = old_orphan(tmp_path)

        make_rounds(now=timezone.now())

        assert storage.size_of(key)
        assert Alert.objects.get(name="orphans_withheld").over_at is None


class TestChores:
    def test_make_the_rounds_and_tell_administrators(self, owner: User, mailoutbox: list[EmailMessage]) -> None:
        User.objects.filter(pk=owner.pk).update(is_superuser=True)
        path_of(make_asset(owner=owner)).unlink()

        chores()
        chores()

        [mail] = mailoutbox
        assert mail.to == [owner.email]
        assert "objects_missing: 1 files are missing" in str(mail.body)
