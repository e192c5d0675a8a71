"""What the provider hands over, however nasty: kept whole, or lost with a reason, and the worker lives."""

import base64
import errno
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import quotas
from accounts.models import Alert, DailySpend, LedgerEntry
from gallery import child, derivatives, fetcher, files, library, storage
from gallery.ahead import Ahead
from gallery.models import Asset
from gallery.tests import samples
from gallery.tests.s3server import S3Server
from generation import lifecycle
from generation.lifecycle import SubmissionsClosed, finish_storing
from generation.models import Output, Prediction, PredictionEvent
from generation.presentation import tell
from generation.sandbox.running import RunningSandbox
from generation.states import OPEN_AT_PROVIDER, Status
from generation.tests.making import make_prediction, make_user
from generation.tests.storing import STORE_LANE, bring_home, make_waiting
from generation.web.cards import cards_for
from generation.work import derive, spool, store
from generation.work.again import store_again
from generation.work.lanes import LANES
from generation.work.loop import do, run_once

pytestmark = pytest.mark.django_db(transaction=True)
FLUX = "black-forest-labs/flux-schnell"
BEFORE_STORING = [lane for lane in LANES if lane.name in {"submit", "refresh"}]


def just_now() -> datetime:
    """A little ago: SQLite's own clock knows no microseconds."""
    return timezone.now() - timedelta(milliseconds=10)


def storing(sandbox: RunningSandbox, **more: Any) -> Prediction:
    """A prediction that the provider has made and of which nothing has been fetched."""
    prediction = make_prediction(now=timezone.now(), **more)

    def heard() -> bool:
        Prediction.objects.filter(pk=prediction.pk).update(due_at=just_now())
        run_once(BEFORE_STORING)
        prediction.refresh_from_db()
        return prediction.status not in OPEN_AT_PROVIDER

    sandbox.wait_until(heard)
    return prediction


def try_again(*, times: int) -> None:
    """Look at everything that waits so often."""
    for _ in range(times):
        Output.objects.filter(state=Output.State.WAITING).update(due_at=just_now())
        bring_home()


def scratch(data_dir: Path) -> list[Path]:
    """Files that are left of a fetch."""
    return list((data_dir / "tmp").iterdir())


class TestThumbnails:
    @pytest.mark.services
    def test_are_made_of_what_was_just_fetched_without_asking_the_store_for_it(
        self, sandbox: RunningSandbox, s3: S3Server, settings: Settings
    ) -> None:
        settings.STORAGES = settings.STORAGES | {"assets": s3.storage()}
        asked: list[str] = []

        def note(model: Any, **_: Any) -> None:
            asked.append(model.name)

        events = storage._client().meta.events
        events.register("before-call.s3", note)
        try:
            storing(sandbox)
            bring_home()
            run_once([lane for lane in LANES if lane.name == "derive"])
        finally:
            events.unregister("before-call.s3", note)

        assert Asset.objects.get().thumbnails
        assert set(asked) == {"PutObject"}


class TestAddress:
    @pytest.mark.parametrize(
        "value",
        [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://10.0.0.1/x",
            "https://10.0.0.1/x",
            "https://example.com/x.png",
            "http://replicate.delivery/x.png",
            "https://replicate.delivery@example.com/x.png",
            "data:image/png;base64,not base64!",
        ],
    )
    def test_that_may_not_be_fetched_is_lost_and_said_to_be(self, sandbox: RunningSandbox, value: str) -> None:
        sandbox.add_fault({"output": {"value": value}})
        prediction = storing(sandbox)

        bring_home()

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.LOST, "file_refused")
        assert not Asset.objects.exists()
        assert "file_refused" in Alert.objects.get(name="output_lost").detail

    @pytest.mark.parametrize("value", [None, "", [], {}, "I am sorry, I can only describe that picture."])
    def test_that_is_none_is_a_failure_without_files(self, sandbox: RunningSandbox, value: Any) -> None:
        sandbox.add_fault({"output": {"value": value}})

        prediction = storing(sandbox)

        assert (prediction.status, prediction.error_code) == (Status.FAILED, "empty_output")
        assert not Output.objects.exists()

    def test_beyond_the_64th_is_left(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"output": {"value": ["{url}"] * 5000}})

        storing(sandbox)

        assert Output.objects.count() == 64

    @pytest.mark.parametrize(("size", "state"), [(store.MOST_DATA_URI_BYTES, "stored"), (None, "lost")])
    def test_that_is_the_file_itself_holds_eight_mebibytes(self, size: int | None, state: str) -> None:
        content = samples.picture("JPEG")
        content += bytes((size or store.MOST_DATA_URI_BYTES + 1) - len(content) - 2) + b"\xff\xd9"

        make_waiting("data:image/jpeg;base64," + base64.b64encode(content).decode())
        bring_home()

        output = Output.objects.get()
        assert (output.state, output.error_code) == (state, "" if size else "file_too_large")


class TestFile:
    @pytest.mark.parametrize("status", [403, 404, 410])
    def test_that_is_not_there_is_asked_for_once_and_tried_three_times_more(
        self, sandbox: RunningSandbox, status: int
    ) -> None:
        sandbox.add_fault({"files": {"kind": "missing", "status": status}})
        prediction = storing(sandbox)
        asked = len(sandbox.log("get"))

        try_again(times=8)

        prediction.refresh_from_db()
        assert len(sandbox.log("get")) - asked == 1
        assert len(sandbox.log("delivery")) == 4
        assert (prediction.status, prediction.error_code) == (Status.LOST, "file_expired")
        assert prediction.cost_micros == 39_000

    def test_that_has_moved_is_fetched_from_its_new_address(self, sandbox: RunningSandbox) -> None:
        storing(sandbox)
        right = Output.objects.get().url
        Output.objects.update(url=right + "x")

        try_again(times=2)

        assert Output.objects.get().state == "stored"

    def test_is_not_given_up_while_the_provider_cannot_be_asked(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"files": {"kind": "missing"}})
        storing(sandbox)
        sandbox.add_fault({"answer": {"kind": "refuse", "status": 503}}, call="get", times=None)

        try_again(times=6)

        assert Output.objects.get().state == "waiting"

    def test_that_the_provider_has_deleted_is_lost_with_an_alarm(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"files": {"kind": "reset"}})
        prediction = storing(sandbox)
        try_again(times=3)
        assert Output.objects.get().state == "waiting"
        Output.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        try_again(times=1)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.LOST, "file_expired")
        assert str(prediction.pk) in Alert.objects.get(name="output_lost").detail

    @pytest.mark.parametrize("kind", ["html", "json", "empty", "mislabelled"])
    def test_that_is_no_picture_is_fetched_twice_and_never_stored(
        self, sandbox: RunningSandbox, data_dir: Path, kind: str
    ) -> None:
        sandbox.add_fault({"files": {"kind": kind}})
        prediction = storing(sandbox)

        try_again(times=4)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.LOST, "file_unusable")
        assert len(sandbox.log("delivery")) == 2
        assert not (data_dir / "assets").exists()
        assert scratch(data_dir) == []

    @pytest.mark.parametrize("share", [0, 1, 0.5, -1])
    @pytest.mark.parametrize(("kind", "declared"), [("reset", True), ("truncated", True), ("truncated", False)])
    def test_is_never_kept_short(self, sandbox: RunningSandbox, share: float, kind: str, declared: bool) -> None:
        prediction = storing(sandbox)
        path = next((sandbox.data_dir / "outputs" / sandbox.predictions()[0].id).iterdir())
        size = path.stat().st_size
        sent = {0: 0, 1: 1, 0.5: size // 2, -1: size - 1}[share]
        with sandbox.sandbox.store.changing(sandbox.predictions()[0].id) as row:
            row.fault["files"] = {"kind": kind, "bytes": sent, "declared": declared, "times": 1}

        bring_home()
        assert Output.objects.get().state == "waiting"
        try_again(times=1)

        prediction.refresh_from_db()
        assert prediction.status == Status.SUCCEEDED
        assert Asset.objects.get().size_bytes == size

    def test_that_never_ends_is_cut_at_the_cap_and_leaves_nothing(
        self, sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "MOST_BYTES", 5_000_000)
        sandbox.add_fault({"files": {"kind": "huge", "declared": False}})
        prediction = storing(sandbox)

        bring_home()

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.LOST, "file_too_large")
        assert scratch(data_dir) == []

    @pytest.mark.parametrize(
        "location",
        ["http://169.254.169.254/", "https://[::ffff:169.254.169.254]/", "https://0x7f000001/", "https://localhost/"],
    )
    def test_leads_to_no_inner_address(self, sandbox: RunningSandbox, location: str) -> None:
        sandbox.add_fault({"files": {"kind": "redirect", "location": location}})
        storing(sandbox)

        bring_home()

        assert Output.objects.get().error_code == "file_refused"

    def test_leads_round_in_a_circle_only_so_often(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"files": {"kind": "redirect", "location": "{url}"}})
        storing(sandbox)

        bring_home()

        assert Output.objects.get().error_code == "file_refused"
        assert len(sandbox.log("delivery")) == fetcher.MOST_REDIRECTS + 1

    def test_that_comes_packed_is_not_unpacked(self, sandbox: RunningSandbox) -> None:
        packed = base64.b64encode(b"\x1f\x8b" + bytes(1000)).decode()
        sandbox.add_fault({"files": {"kind": "content", "content": packed, "encoding": "gzip"}})
        storing(sandbox)

        bring_home()

        assert Output.objects.get().state == "lost"

    def test_that_holds_everybody_up_lets_the_others_through(
        self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetcher, "SLOW_AFTER_SECONDS", 0.3)
        monkeypatch.setattr(fetcher, "HEAD_SECONDS", 0.3)
        for kind in ("slow", "stalled", "endless_head"):
            monkeypatch.setattr(fetcher, "IDLE_SECONDS", 0.5)
            sandbox.add_fault({"files": {"kind": kind, "bytes_per_second": 20}})
        sandbox.add_fault({"files": {"kind": "reset", "times": 0}}, times=None)
        user = make_user()
        for _ in range(8):
            storing(sandbox, user=user)
        started = time.monotonic()

        bring_home()

        assert time.monotonic() - started < 60
        assert Output.objects.filter(state="stored").count() == 5
        assert Output.objects.filter(state="waiting", error_code="interrupted").count() == 3


class TestPartialSuccess:
    def test_shows_three_while_the_fourth_is_tried_and_then_says_that_it_is_lost(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"files": {"kind": "missing", "index": 1}})
        prediction = storing(sandbox, model=FLUX, num_outputs=4)
        bring_home()
        prediction.refresh_from_db()
        assert prediction.status == Status.STORING
        assert Asset.objects.count() == 3

        try_again(times=4)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.SUCCEEDED, "file_expired")
        assert Output.objects.get(state="lost").index == 1
        assert LedgerEntry.objects.filter(kind="settle").count() == 1


class TestBomb:
    """Kept, because it was paid for, and without a thumbnail; the worker never decodes it."""

    @pytest.mark.parametrize(
        ("content", "size"),
        [
            (samples.bomb(side=65_000), (65_000, 65_000)),
            (samples.picture("WEBP", size=(320, 8), frames=400, duration=20), (320, 8)),
            (samples.picture("GIF", size=(320, 8), frames=400, duration=20), (320, 8)),
        ],
        ids=["pixels", "frames", "gif"],
    )
    def test_is_kept_without_a_thumbnail(self, sandbox: RunningSandbox, content: bytes, size: tuple[int, int]) -> None:
        sandbox.add_fault({"files": {"kind": "content", "content": base64.b64encode(content).decode()}})
        prediction = storing(sandbox)
        started = time.monotonic()

        bring_home()

        prediction.refresh_from_db()
        asset = Asset.objects.get()
        assert prediction.status == Status.SUCCEEDED
        assert (asset.width, asset.height, asset.size_bytes) == (*size, len(content))
        assert time.monotonic() - started < 30

    def test_of_pixels_is_tried_three_times_in_a_child(self, sandbox: RunningSandbox) -> None:
        content = base64.b64encode(samples.bomb(side=65_000)).decode()
        sandbox.add_fault({"files": {"kind": "content", "content": content}})
        storing(sandbox)
        bring_home()

        for _ in range(6):
            Asset.objects.exclude(due_at=None).update(due_at=just_now())
            for asset in derive.DUE.take(1):
                derive.derive(asset)

        asset = Asset.objects.get()
        assert (asset.due_at, asset.thumbnail_key, asset.quarantined_at) == (None, "", None)

    def test_among_uploads_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(samples.bomb())

        with pytest.raises(files.UnusableFile):
            files.inspect(tmp_path / "x")


class TestPolyglot:
    SCRIPT = b"<html><script>alert(document.domain)</script></html>"

    def kept(self, sandbox: RunningSandbox, content: bytes) -> Asset | None:
        told = {"kind": "content", "content": base64.b64encode(content).decode(), "content_type": "text/html"}
        sandbox.add_fault({"files": told})
        storing(sandbox)
        try_again(times=2)
        for asset in derive.DUE.take(1):
            derive.derive(asset)
        return Asset.objects.first()

    def test_is_served_as_the_picture_it_is_and_thumbnails_hold_pixels_only(
        self, sandbox: RunningSandbox, client: Client, in_files: None
    ) -> None:
        asset = self.kept(sandbox, samples.picture("JPEG") + self.SCRIPT + b"\xff\xd9")

        assert asset is not None
        client.force_login(asset.owner)
        answer = client.get(f"/assets/{asset.pk}/file")
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        with storage.as_file(asset.thumbnail_key) as path:
            assert b"<script" not in path.read_bytes()

    @pytest.mark.parametrize(
        "head", [b"<svg xmlns='http://www.w3.org/2000/svg'>", b"<?xml version='1.0'?>", b"%PDF-1.7"]
    )
    def test_that_is_no_picture_is_not_kept(self, sandbox: RunningSandbox, head: bytes) -> None:
        assert self.kept(sandbox, head + samples.picture("JPEG")) is None
        assert Output.objects.get().error_code == "file_unusable"


class TestDecoder:
    @pytest.mark.parametrize(
        "program", ["import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "import time; time.sleep(60)"]
    )
    def test_that_crashes_or_hangs_leaves_the_film_kept_without_a_thumbnail(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
    ) -> None:
        (tmp_path / "child.py").write_text(program)
        monkeypatch.setattr(child, "CHILD", tmp_path / "child.py")
        monkeypatch.setattr(child, "CHILD_SECONDS", 0.5)
        film = samples.film(tmp_path / "film.mp4", size=(320, 180), seconds=2).read_bytes()
        make_waiting("data:video/mp4;base64," + base64.b64encode(film).decode())

        bring_home()
        for _ in range(4):
            Asset.objects.exclude(due_at=None).update(due_at=just_now())
            for asset in derive.DUE.take(1):
                derive.derive(asset)

        asset = Asset.objects.get()
        assert (asset.kind, asset.width, asset.height) == ("video", 320, 180)
        assert asset.duration_seconds == pytest.approx(2, abs=0.15)
        assert (asset.due_at, asset.thumbnail_key) == (None, "")


class Full(OSError):
    """What the system says of a full disk."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestFullDisk:
    """The worker lives, the output waits, and nothing half written stays."""

    def waits_then_is_stored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        output = Output.objects.get()
        assert (output.state, output.error_code, output.claims) == ("waiting", "disk_full", 0)
        assert Alert.objects.get(name="disk_full").over_at is None
        monkeypatch.undo()

        try_again(times=1)

        assert Output.objects.get().state == "stored"
        assert Alert.objects.get(name="disk_full").over_at is not None

    def test_while_a_file_is_fetched(
        self, sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storing(sandbox)
        fetch = store._fetch

        def to_full_disk(url: str, path: Path, ahead: Ahead) -> None:
            path.symlink_to("/dev/full")
            fetch(url, path, ahead)

        with monkeypatch.context() as patch:
            patch.setattr(store, "_fetch", to_full_disk)
            bring_home()

            assert scratch(data_dir) == []
        self.waits_then_is_stored(monkeypatch)

    def test_while_a_file_is_spooled(
        self, sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storing(sandbox)

        def refuse(**_: Any) -> None:
            raise storage.StorageError("down", status=503)

        def no_rename(self: Path, target: Path) -> None:
            raise OSError(errno.EXDEV, "another disk")

        def full(*_: Any) -> None:
            raise Full

        with monkeypatch.context() as patch:
            patch.setattr(storage, "put", refuse)
            patch.setattr(Path, "rename", no_rename)
            patch.setattr(shutil, "copyfileobj", full)
            bring_home()

            assert [path.name for path in (data_dir / "spool").iterdir()] == [spool.NAME_FILE]
        self.waits_then_is_stored(monkeypatch)

    def test_while_it_is_put_into_a_local_store(
        self, sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        storing(sandbox)
        settings.SPOOL_DIR = None
        put = storage.put

        def half(*, path: Path, key: str, content_type: str) -> None:
            put(path=path, key=key, content_type=content_type)
            raise storage.StorageError("storing: OSError") from Full()

        with monkeypatch.context() as patch:
            patch.setattr(storage, "put", half)
            bring_home()

            assert [path for path in (data_dir / "assets").rglob("*") if path.is_file()] == []
        self.waits_then_is_stored(monkeypatch)

    @pytest.mark.parametrize("words", ["database or disk is full", "could not extend file: No space left on device"])
    def test_while_the_database_writes(
        self, sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch, words: str
    ) -> None:
        storing(sandbox)

        def enter(**_: Any) -> Asset:
            raise OperationalError(words)

        with monkeypatch.context() as patch:
            patch.setattr(library, "enter_asset", enter)
            for _ in range(7):
                Output.objects.update(due_at=just_now())
                bring_home()

            assert [path for path in (data_dir / "assets").rglob("*") if path.is_file()] == []
        self.waits_then_is_stored(monkeypatch)

    def test_while_a_thumbnail_is_made_costs_none_of_its_tries(
        self, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storing(sandbox)
        bring_home()

        def full(*_: str) -> None:
            raise Full

        with monkeypatch.context() as patch:
            patch.setattr(derivatives, "run_child", full)
            for _ in range(5):
                Asset.objects.update(due_at=just_now())
                derive.derive(derive.DUE.take(1)[0])
        Asset.objects.update(due_at=just_now())
        derive.derive(derive.DUE.take(1)[0])

        assert Asset.objects.get().thumbnail_key

    def test_is_heard_from_the_child(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "child.py").write_text("import errno, os\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))")
        monkeypatch.setattr(child, "CHILD", tmp_path / "child.py")

        with pytest.raises(OSError, match="No space"):
            child.run_child("image")


class TestDoor:
    @pytest.mark.parametrize(
        ("row", "closed"),
        [
            ({"error_code": "storage_unavailable"}, True),
            ({"error_code": "storage_unavailable", "spool_host": "elsewhere"}, True),
            ({"error_code": "disk_full"}, True),
            ({"spool_host": "here"}, True),
            ({}, False),
            ({"error_code": "interrupted", "tries": 3}, False),
            ({"error_code": "file_too_large", "spool_host": "here"}, False),
            ({"error_code": "storage_unavailable", "quarantined_at": timezone.now()}, False),
            ({"error_code": "storage_unavailable", "state": "stored", "due_at": None}, False),
        ],
    )
    def test_is_closed_by_what_waits_for_us_with_too_little_time(self, row: dict[str, Any], closed: bool) -> None:
        make_waiting(left=timedelta(minutes=21))
        Output.objects.update(**row)
        make_prediction(user=make_user(username="early"), now=timezone.now())
        Output.objects.update(expires_at=timezone.now() + timedelta(minutes=19))

        if closed:
            with pytest.raises(SubmissionsClosed) as refusal:
                make_prediction(user=make_user(username="late"), now=timezone.now())
            assert refusal.value.retry_after_seconds
        else:
            assert make_prediction(user=make_user(username="late"), now=timezone.now()).was_created


class TestALostPrediction:
    @pytest.fixture
    def lost(self, sandbox: RunningSandbox) -> Prediction:
        """Its file was paid for, and is still at the provider."""
        prediction = storing(sandbox)
        Output.objects.update(state=Output.State.LOST, due_at=None, error_code="file_unusable")
        assert finish_storing(prediction_id=prediction.pk, now=timezone.now())
        prediction.refresh_from_db()
        return prediction

    def sums(self) -> dict[str, int]:
        return dict(DailySpend.objects.exclude(ended=0).values_list("end", "micros"))

    def test_that_is_stored_again_is_lost_no_more_to_anybody(self, lost: Prediction) -> None:
        cost = lost.cost_micros
        assert (lost.status, self.sums()) == (Status.LOST, {"lost": cost})

        store_again(prediction=lost, now=just_now())
        bring_home()

        asset = Asset.objects.get()
        assert self.sums() == {"succeeded": cost}
        assert LedgerEntry.objects.last().reason == "The files were saved after all"  # type: ignore[union-attr]  # there is one
        assert quotas.recompute(now=timezone.now()) == []
        lost.refresh_from_db()
        # An end stays what it is; what is here is shown.
        assert (lost.status, lost.cost_micros) == (Status.LOST, cost)
        assert [shown["id"] for shown in tell(lost)["assets"]] == [str(asset.pk)]
        [card] = cards_for([lost], now=timezone.now())
        assert card.words.headline == "Saved after all"
        assert not card.can_retry

    def test_that_is_lost_again_stays_in_the_books_as_it_was(self, lost: Prediction) -> None:
        store_again(prediction=lost, now=just_now())
        Output.objects.update(state=Output.State.LOST, due_at=None)

        assert not finish_storing(prediction_id=lost.pk, now=timezone.now())
        assert self.sums() == {"lost": lost.cost_micros}


def data_uri(size: tuple[int, int]) -> str:
    return "data:image/png;base64," + base64.b64encode(samples.picture("PNG", size=size)).decode()


@pytest.mark.usefixtures("in_files")
class TestTheLastFile:
    def test_of_two_that_come_at_once_concludes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_waiting(data_uri((30, 20)), data_uri((20, 30)))
        first, second = STORE_LANE[0].claim(2)
        entered = threading.Event()

        def linger(name: str) -> None:
            if name == "store.before_commit" and not entered.is_set():
                entered.set()
                time.sleep(1)

        def bring(output: Output) -> None:
            do(STORE_LANE[0], output)
            connection.close()

        monkeypatch.setattr(store, "faultpoint", linger)
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(bring, first)]
            assert entered.wait(60)
            both.append(pool.submit(bring, second))
        for done in both:
            done.result()

        assert Prediction.objects.get().status == Status.SUCCEEDED
        names = list(PredictionEvent.objects.order_by("pk").values_list("name", flat=True))
        assert names[-3:] == ["output_stored", "output_stored", "succeeded"]
        assert Prediction.objects.get().last_event_id == PredictionEvent.objects.latest("pk").pk

    def test_is_kept_whatever_keeps_its_prediction_from_being_concluded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        [output] = make_waiting(data_uri((30, 20)))

        def broken(*_: object, **__: object) -> bool:
            raise RuntimeError("it cannot be concluded")

        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "conclude", broken)
            bring_home()

        output.refresh_from_db()
        assert (output.state, output.asset) == (Output.State.STORED, Asset.objects.get())
        assert [one.key for one in storage.listing()] == [Asset.objects.get().storage_key]
        assert finish_storing(prediction_id=output.prediction_id, now=timezone.now())

    def test_of_what_is_gone_by_now_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_waiting(data_uri((30, 20)))

        def gone(*_: object) -> None:
            raise Prediction.DoesNotExist

        monkeypatch.setattr(lifecycle, "lock_storing", gone)
        bring_home()

        assert [one.key for one in storage.listing()] == []
