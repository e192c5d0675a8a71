"""A store that fails is left alone but for one who tries it, and everything waits for it without loss."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Alert
from gallery import fetcher, storage
from gallery.faultpoints import Injected
from gallery.models import Asset
from gallery.tests.making import make_asset
from gallery.tests.s3server import S3Server
from gallery.tests.samples import picture
from generation.models import Output, Prediction, StorageState
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import make_user
from generation.tests.storing import STORE_LANE, Door, bring_home, let_pass, make_waiting, states
from generation.tests.torture.tcpfault import TcpFault, Toxic
from generation.work import derive, spool, store, store_circuit, unstored
from generation.work.loop import Loop, run_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was fetched: every address has a picture."""
    asked: list[str] = []

    def fetch(url: str, path: Path, *_: object) -> Path:
        asked.append(url)
        path.write_bytes(picture())
        return path

    monkeypatch.setattr(store, "_fetch", fetch)
    return asked


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch, fetched: list[str]) -> Door:
    return Door(monkeypatch)


@pytest.fixture
def far_store(s3: S3Server, settings: Settings) -> Iterator[TcpFault]:
    """A real S3 server behind a wire that can be spoiled."""
    with TcpFault(s3.endpoint_url) as wire:
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(endpoint_url=wire.url)}
        settings.S3_PUBLIC_URL = ""
        yield wire


def is_closed() -> bool:
    """Whether the store has failed and it is nobody's turn to try it."""
    return StorageState.objects.filter(store_circuit.is_closed()).exists()


def close(door: Door, *, status: int = 503) -> Output:
    """Let the circuit close by an output of its own."""
    door.shut = status
    [output] = make_waiting()
    bring_home()
    let_pass(2)
    bring_home()
    # The first pause is of a second, which a busy machine may have let pass by now.
    assert StorageState.objects.get().closed_until
    StorageState.objects.update(closed_until=timezone.now() + timedelta(minutes=1))
    return output


def put_something(folder: Path) -> None:
    """One put, if the circuit lets it pass."""
    with store_circuit.passage() as way:
        way.put(path=folder, key="1/x/y.png", content_type="image/png")


def alerts() -> dict[str, bool]:
    """Every alert by its name, and whether it is over."""
    return {alert.name: alert.over_at is not None for alert in Alert.objects.all()}


@contextmanager
def working() -> Iterator[None]:
    """A worker's store lane, in a thread."""
    loop = Loop(["store"])

    def run() -> None:
        try:
            loop.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join(30)


def at_once(work: Callable[[], Any], count: int) -> list[Any]:
    """The same done by several threads that start together; exceptions are returned."""
    ready = threading.Barrier(count)

    def one(_: int) -> Any:
        try:
            ready.wait(60)
            return work()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


class TestCircuit:
    @pytest.mark.parametrize("status", [0, 500, 503])
    def test_closes_after_failures_in_a_row(self, door: Door, status: int) -> None:
        door.shut = status
        make_waiting()

        bring_home()
        assert not is_closed()
        let_pass(2)
        bring_home()

        assert is_closed()
        assert StorageState.objects.get().closed_reason == "unavailable"
        assert alerts() == {"store_unavailable": False}

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_closes_at_once_for_a_refusal_and_names_its_status(self, door: Door, status: int) -> None:
        door.shut = status
        [output] = make_waiting()

        bring_home()

        assert is_closed()
        assert StorageState.objects.get().closed_reason == "refused"
        assert str(status) in Alert.objects.get(name="store_refused").detail
        assert states([output]) == ["waiting"]

    def test_counts_those_who_failed_together_as_one(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        together = threading.Barrier(6)

        def fail(**_: Any) -> None:
            together.wait(60)
            raise storage.StorageError("down", status=503)

        monkeypatch.setattr(storage, "put", fail)

        at_once(lambda: put_something(tmp_path), 6)

        assert StorageState.objects.get().faults == 1
        assert not is_closed()

    def test_learns_nothing_from_one_who_set_out_before_it_closed(self, door: Door, tmp_path: Path) -> None:
        with store_circuit.passage() as way:
            close(door)
            let_pass(80)
            bring_home()
            before = StorageState.objects.get()
            with pytest.raises(storage.StorageError):
                way.put(path=tmp_path, key="1/x/y.png", content_type="image/png")

        after = StorageState.objects.get()
        assert (after.faults, after.closed_until) == (before.faults, before.closed_until)
        assert after.faults == 3

    @pytest.mark.parametrize(("status", "usual"), [(0, [2, 3, 3, 3]), (403, [2, 4, 8, 16, 32, 60, 60])])
    def test_waits_longer_each_time_up_to_a_bound(self, door: Door, status: int, usual: list[int]) -> None:
        close(door)
        door.shut = status
        pauses = []
        for _ in usual:
            let_pass(80)
            bring_home()
            until = StorageState.objects.get().closed_until
            assert until
            pauses.append((until - timezone.now()).total_seconds())

        for pause, expected in zip(pauses, usual, strict=True):
            assert expected * 0.7 < pause <= expected * 1.2

    def test_lets_files_be_fetched_and_spooled_without_trying_the_store(self, door: Door, fetched: list[str]) -> None:
        close(door)
        before = len(door.tried)
        outputs = make_waiting("https://replicate.delivery/a", "https://replicate.delivery/b")

        bring_home()

        assert len(door.tried) == before
        assert fetched[-2:] == ["https://replicate.delivery/a", "https://replicate.delivery/b"]
        assert all(spool.spooled(output) for output in Output.objects.filter(pk__in=[row.pk for row in outputs]))
        assert states(outputs) == ["waiting", "waiting"]

    def test_that_closes_while_a_file_travels_long_is_not_tried_with_it(
        self, door: Door, fetched: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetch = store._fetch

        def meanwhile(url: str, path: Path, *_: Any) -> Any:
            StorageState.objects.create(faults=5, closed_until=timezone.now() + timedelta(minutes=1))
            return fetch(url, path, *_)

        monkeypatch.setattr(store, "_fetch", meanwhile)
        monkeypatch.setattr(store, "JUST_SEEN_SECONDS", 0.0)
        [output] = make_waiting()
        bring_home()

        assert (len(fetched), door.tried) == (1, [])
        assert spool.spooled(Output.objects.get(pk=output.pk))

    def test_leaves_what_lies_in_the_spool_alone(self, door: Door) -> None:
        close(door)
        Output.objects.update(due_at=timezone.now() - timedelta(minutes=1))

        assert store.take(10) == []

    def test_fetches_nothing_in_vain_without_a_spool(self, door: Door, fetched: list[str], settings: Settings) -> None:
        settings.SPOOL_DIR = None
        close(door)
        make_waiting()
        before = len(fetched)

        for _ in range(5):
            bring_home()
            Output.objects.update(due_at=timezone.now() - timedelta(seconds=1))

        assert len(fetched) == before
        assert set(Output.objects.values_list("error_code", flat=True)) == {"storage_unavailable"}

    def test_ends_the_wait_of_what_nobody_holds_when_its_hour_is_over(self, door: Door, settings: Settings) -> None:
        settings.SPOOL_DIR = None
        output = close(door)
        Output.objects.update(
            expires_at=timezone.now() - timedelta(seconds=1), due_at=timezone.now() - timedelta(seconds=1)
        )

        bring_home()

        output.refresh_from_db()
        assert (output.state, output.error_code) == ("lost", "storage_unavailable")
        assert "output_lost" in alerts()

    def test_is_tried_by_one_of_many(self, door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        close(door)
        let_pass(80)
        tries, turned_away = [], threading.Semaphore(0)

        def put(**more: Any) -> None:
            tries.append(1)
            for _ in range(7):
                turned_away.acquire(timeout=20)

        def come() -> None:
            try:
                put_something(tmp_path)
            except store_circuit.Closed:
                turned_away.release()
                raise

        monkeypatch.setattr(storage, "put", put)

        found = at_once(come, 8)

        assert len(tries) == 1
        assert found.count(None) == 1
        assert sum(isinstance(one, store_circuit.Closed) for one in found) == 7

    def test_is_tried_with_one_file_by_all_workers_together(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        close(door)
        make_waiting(*[f"https://replicate.delivery/{n}" for n in range(12)])
        bring_home()
        let_pass(80)
        tries: list[str] = []

        def put(*, key: str, **_: Any) -> None:
            tries.append(key)
            time.sleep(1)
            raise storage.StorageError("down", status=503)

        def work() -> None:
            for row in store.take(3):
                store.store(row)

        monkeypatch.setattr(storage, "put", put)
        at_once(work, 4)

        assert len(tries) == 1
        assert set(Output.objects.values_list("state", flat=True)) == {"waiting"}

    def test_opens_for_everybody_after_one_success(self, door: Door) -> None:
        close(door)
        outputs = make_waiting(*[f"https://replicate.delivery/{n}" for n in range(9)])
        bring_home()
        let_pass(80)
        Output.objects.exclude(pk=outputs[3].pk).update(due_at=timezone.now() + timedelta(minutes=1))
        door.shut = None

        bring_home()

        assert states(outputs) == ["stored"] * 9
        assert alerts() == {"store_unavailable": True}
        assert not StorageState.objects.exclude(faults=0, closed_until=None).exists()

    def test_is_not_kept_shut_by_a_try_that_led_nowhere(
        self, door: Door, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.SPOOL_DIR = None
        close(door)
        let_pass(80)

        def fetch(url: str, path: Path, *_: object) -> Path:
            raise fetcher.Interrupted("cut off")

        with monkeypatch.context() as patch:
            patch.setattr(store, "_fetch", fetch)
            bring_home()

        assert not is_closed()

    def test_is_tried_anew_after_the_one_who_tried_it_died(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        close(door)
        let_pass(80)
        with monkeypatch.context() as patch, pytest.raises(Injected):
            patch.setenv("FAULT", "store.probing:raise")
            [row] = store.take(1)
            store.store(row)
        assert is_closed()
        Output.objects.update(lease_until=None, lease_token=None, due_at=timezone.now() - timedelta(seconds=1))
        door.shut = None
        let_pass(80)

        bring_home()

        assert Asset.objects.count() == 1

    def test_does_not_close_for_one_file_that_is_too_large(self, door: Door) -> None:
        door.shut = 413
        [large] = make_waiting()

        for _ in range(4):
            bring_home()
            Output.objects.update(due_at=timezone.now() - timedelta(seconds=1))

        large.refresh_from_db()
        assert not is_closed()
        assert (large.state, large.error_code) == ("waiting", "file_too_large")
        assert "413" in Alert.objects.get(name="store_refused").detail

    @pytest.mark.parametrize("status", [402, 403, 415, 507])
    def test_stays_for_files_that_fit_when_one_is_refused(self, door: Door, status: int) -> None:
        door.shut, door.known = status, True
        [refused] = make_waiting()
        for _ in range(4):
            bring_home()
            Output.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        refused.refresh_from_db()

        assert not is_closed()
        assert (refused.state, refused.error_code) == ("waiting", "storage_unavailable")
        assert spool.spooled(refused)
        assert str(status) in Alert.objects.get(name="store_refused", over_at=None).detail
        door.shut = None
        bring_home()
        assert states([refused]) == ["stored"]
        assert alerts() == {"store_refused": True}

    def test_asks_for_a_refused_file_again_only_after_a_while(self, door: Door) -> None:
        door.shut, door.known = 507, True
        [refused] = make_waiting()

        bring_home()

        refused.refresh_from_db()
        assert (refused.due_at or timezone.now()) > timezone.now() + timedelta(minutes=4)

    def test_does_not_keep_for_ever_what_the_store_never_takes(self, door: Door) -> None:
        door.shut = 413
        [large] = make_waiting()
        bring_home()
        Output.objects.update(
            expires_at=F("expires_at") - timedelta(hours=26), due_at=timezone.now() - timedelta(seconds=1)
        )

        bring_home()

        large.refresh_from_db()
        assert (large.state, large.error_code) == ("lost", "file_too_large")

    def test_spares_the_derive_lane_too(self, door: Door) -> None:
        make_asset(owner=make_user(), now=timezone.now())
        close(door)
        assert derive.DUE.take(1) == []

        let_pass(80)

        assert len(derive.DUE.take(1)) == 1


class TestOrder:
    def test_is_by_expiry_with_a_lane_of_one(self, door: Door, fetched: list[str]) -> None:
        for minutes in (40, 5, 20, 55, 10):
            make_waiting(f"https://replicate.delivery/{minutes}", left=timedelta(minutes=minutes))
        # The order in which they came due is another.
        for place, output in enumerate(Output.objects.order_by("-expires_at")):
            Output.objects.filter(pk=output.pk).update(due_at=timezone.now() - timedelta(seconds=60 - place))

        while rows := store.take(1):
            store.store(rows[0])

        assert [int(url.rpartition("/")[2]) for url in fetched] == [5, 10, 20, 40, 55]

    def test_has_what_lies_here_behind_what_must_be_fetched(self, door: Door, fetched: list[str]) -> None:
        spooled = close(door)
        [fresh] = make_waiting()
        Output.objects.filter(pk=spooled.pk).update(expires_at=timezone.now() + timedelta(minutes=1))
        let_pass(80)

        assert [row.pk for row in store.take(9)] == [fresh.pk, spooled.pk]

    def test_has_what_broke_off_behind_what_was_never_tried(self, door: Door) -> None:
        [slow] = make_waiting(left=timedelta(minutes=5))
        Output.objects.filter(pk=slow.pk).update(error_code=unstored.INTERRUPTED, tries=3)
        [fresh] = make_waiting()

        assert [row.pk for row in store.take(9)] == [fresh.pk, slow.pk]


class TestRealStore:
    """An S3 server that is gone, and comes back."""

    def test_that_refuses_connections_loses_nothing_and_drains(
        self, far_store: TcpFault, fetched: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outputs = make_waiting(*[f"https://replicate.delivery/{n}" for n in range(20)])
        with far_store.spoiled(Toxic("refuse")):
            for _ in range(4):
                bring_home()
                let_pass(2)
            assert set(states(outputs)) == {"waiting"}
            assert len(fetched) == 20
            assert alerts() == {"store_unavailable": False}

        let_pass(80)
        bring_home(rounds=2)

        assert set(states(outputs)) == {"stored"}
        assert len(fetched) == 20
        assert Prediction.objects.get().status == Status.SUCCEEDED
        for asset in Asset.objects.all():
            with storage.as_file(asset.storage_key) as path:
                assert path.stat().st_size == asset.size_bytes

    def test_that_comes_back_is_found_by_the_workers_themselves(
        self, far_store: TcpFault, fetched: list[str], sandbox: RunningSandbox
    ) -> None:
        with working(), working():
            with far_store.spoiled(Toxic("refuse")):
                early = make_waiting(*[f"https://replicate.delivery/early-{n}" for n in range(10)])
                sandbox.wait_until(is_closed, seconds=20)
                late = make_waiting(*[f"https://replicate.delivery/late-{n}" for n in range(20)])
                spooled = Output.objects.exclude(spool_host="")
                sandbox.wait_until(lambda: spooled.count() == 30, seconds=20)

            stored = Output.objects.filter(state=Output.State.STORED)
            sandbox.wait_until(lambda: stored.count() == 30, seconds=40)

        assert len(fetched) == len(set(fetched)) == len(early) + len(late)
        assert Prediction.objects.filter(status=Status.SUCCEEDED).count() == 2

    def test_that_does_not_know_our_key_is_named_and_nothing_is_lost(
        self, s3: S3Server, settings: Settings, fetched: list[str]
    ) -> None:
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage(secret_key="rotated")}
        outputs = make_waiting()

        for _ in range(3):
            bring_home()
            let_pass(3)

        assert states(outputs) == ["waiting"]
        assert "403" in Alert.objects.get(name="store_refused").detail
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage()}
        let_pass(80)
        bring_home()
        assert states(outputs) == ["stored"]
        assert alerts() == {"store_refused": True}


def test_a_lane_that_finds_nothing_asks_little(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(1):
        run_once(STORE_LANE)
