"""When the store is down, nothing that was paid for is lost, and nothing new is begun that might be."""

import errno
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from gallery import storage
from gallery.models import Asset
from generation.lifecycle import SubmissionsClosed
from generation.models import Output, Prediction
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import make_prediction, make_user
from generation.tests.storing import make_waiting
from generation.work import spool
from generation.work.choose import choose
from generation.work.chores import chores
from generation.work.loop import run_once, run_until_quiet

pytestmark = pytest.mark.django_db(transaction=True)


class Store:
    """The real store behind a door that can be shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.tried, self.put = True, 0, storage.put
        monkeypatch.setattr(storage, "put", self)

    def __call__(self, *, path: Path, key: str, content_type: str) -> None:
        self.tried += 1
        if not self.open:
            raise storage.StorageError("connection refused")
        self.put(path=path, key=key, content_type=content_type)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox) -> Iterator[Store]:
    yield Store(monkeypatch)


def try_now() -> None:
    """Look at everything that waits."""
    Prediction.objects.unfinished().update(due_at=timezone.now() - timedelta(seconds=1))
    Output.objects.filter(state=Output.State.WAITING).update(due_at=timezone.now() - timedelta(seconds=1))
    run_once()
    run_once()


def waiting_for(store: Store, sandbox: RunningSandbox) -> Prediction:
    """A prediction whose output was fetched and could not be stored."""
    store.open = False
    prediction = make_prediction(now=timezone.now())
    run_once()
    sandbox.wait_until(lambda: sandbox.predictions()[0].ended)
    try_now()
    assert store.tried
    return prediction


def files_in(data_dir: Path) -> list[str]:
    """What lies in the spool, beside its own name."""
    return [path.name for path in (data_dir / "spool").iterdir() if path.name != spool.NAME_FILE]


class TestSpool:
    def test_keeps_what_was_fetched_past_the_providers_hour(
        self, store: Store, sandbox: RunningSandbox, data_dir: Path
    ) -> None:
        prediction = waiting_for(store, sandbox)
        sandbox.erase(sandbox.predictions()[0].id)
        Output.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        try_now()
        assert Output.objects.get().state == Output.State.WAITING
        store.open = True

        try_now()
        assert run_until_quiet(20)

        prediction.refresh_from_db()
        assert prediction.status == Status.SUCCEEDED
        assert Asset.objects.count() == 1
        assert len(sandbox.log("delivery")) == 1
        assert files_in(data_dir) == []

    def test_is_another_hosts_own(self, store: Store, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        waiting_for(store, sandbox)
        Output.objects.update(spool_host="elsewhere")
        store.open = True

        try_now()

        assert len(sandbox.log("delivery")) == 2
        assert Asset.objects.count() == 1

    @pytest.mark.parametrize("full", [True, False])
    def test_without_room_leaves_the_file_at_the_provider(
        self, store: Store, sandbox: RunningSandbox, settings: Settings, full: bool
    ) -> None:
        if full:
            settings.SPOOL_MAX_BYTES = 100
        else:
            settings.SPOOL_DIR = None

        prediction = waiting_for(store, sandbox)
        assert Output.objects.get().spool_host == ""
        store.open = True
        try_now()
        assert run_until_quiet(20)

        prediction.refresh_from_db()
        assert prediction.status == Status.SUCCEEDED
        assert len(sandbox.log("delivery")) == 2

    def test_is_swept_of_what_nobody_waits_for(self, store: Store, sandbox: RunningSandbox, data_dir: Path) -> None:
        waiting_for(store, sandbox)
        (data_dir / "spool" / "999").write_bytes(b"x")

        chores()

        assert files_in(data_dir) == [str(Output.objects.get().pk)]

    def test_takes_no_more_than_its_room_from_many_at_once(
        self, data_dir: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count, replace = spool._taken, Path.replace

        def slowly() -> int:
            names = files_in(data_dir)
            taken = count()
            time.sleep(0.05)
            assert files_in(data_dir) == names, "a file that is renamed while others count"
            return taken

        def replace_late(path: Path, target: Path) -> Path:
            time.sleep(0.02)
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", replace_late)

        monkeypatch.setattr(spool, "_taken", slowly)
        settings.SPOOL_MAX_BYTES = 300 + len(spool.host())
        outputs = make_waiting(*[f"https://replicate.delivery/{n}" for n in range(8)])
        ready = threading.Barrier(8)

        def keep(output: Output) -> bool:
            path = tmp_path / f"fetched-{output.pk}"
            path.write_bytes(bytes(100))
            ready.wait(60)
            try:
                return spool.keep(output, path)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            kept = list(pool.map(keep, outputs))

        assert kept.count(True) == 3
        assert len(files_in(data_dir)) == 3
        assert not spool.has_room()

    def test_may_be_on_another_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        [output] = make_waiting()
        (tmp_path / "fetched").write_bytes(b"a whole picture")

        def rename(self: Path, target: Path) -> None:
            raise OSError(errno.EXDEV, "another disk")

        monkeypatch.setattr(Path, "rename", rename)

        assert spool.keep(output, tmp_path / "fetched")
        kept = spool.spooled(output)
        assert kept is not None
        assert kept.read_bytes() == b"a whole picture"

    def test_is_swept_of_what_a_killed_worker_had_begun(self, data_dir: Path) -> None:
        [output] = make_waiting()
        spool.host()
        begun, left = (data_dir / "spool" / f"{output.pk}.{name}{spool.BEGUN}" for name in ("new", "old"))
        begun.write_bytes(b"x")
        left.write_bytes(b"x")
        os.utime(left, (1, 1))

        spool.sweep()

        assert files_in(data_dir) == [begun.name]

    def test_that_cannot_be_used_is_none(self, data_dir: Path) -> None:
        (data_dir / "spool").write_text("not a folder")

        assert not spool.has_room()
        assert spool.host() == ""


class TestDoor:
    def test_closes_when_a_file_that_cannot_be_stored_has_twenty_minutes_left(
        self, store: Store, sandbox: RunningSandbox
    ) -> None:
        waiting_for(store, sandbox)
        queued = make_prediction(user=make_user(username="bob"), now=timezone.now())
        assert choose(1) == [queued]
        Prediction.objects.filter(pk=queued.pk).update(lease_until=None, lease_token=None)
        Output.objects.update(expires_at=timezone.now() + timedelta(minutes=19))

        with pytest.raises(SubmissionsClosed):
            make_prediction(user=make_user(username="eve"), now=timezone.now())

        assert choose(1) == []

    def test_opens_when_everything_is_stored(self, store: Store, sandbox: RunningSandbox) -> None:
        waiting_for(store, sandbox)
        Output.objects.update(expires_at=timezone.now() + timedelta(minutes=19))
        store.open = True
        try_now()

        assert make_prediction(user=make_user(username="bob"), now=timezone.now()).was_created


class TestExpiry:
    def test_loses_in_the_end_what_nobody_could_fetch(self, store: Store, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"files": {"kind": "reset"}})
        prediction = make_prediction(now=timezone.now())
        run_once()
        sandbox.wait_until(lambda: sandbox.predictions()[0].ended)
        try_now()
        assert Output.objects.get().tries
        Output.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        try_now()

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code, prediction.cost_micros) == (
            Status.LOST,
            "file_expired",
            39_000,
        )
