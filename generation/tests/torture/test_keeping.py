"""F43 to F48: the store is away, half there, or has lost something."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest
from django.utils import timezone

from accounts.models import Alert, LedgerEntry
from gallery import audit, storage
from gallery.models import Asset
from gallery.tests.s3server import S3Server
from generation.models import Output, Prediction, PredictionEvent, StorageState
from generation.tests.torture import oracle
from generation.tests.torture.outputs import KEEPERS, MANY, ask_unfetched, deliveries, is_whole, lengthen
from generation.tests.torture.scene import IMAGE, Scene, within
from generation.tests.torture.surroundings import PROMPT, faked_clock
from generation.tests.torture.tcpfault import TcpFault, Toxic

pytestmark = pytest.mark.django_db(transaction=True)
# Longer than the longest pause between two tries of the store.
A_PAUSE = 75


# A Python under libfaketime, which does not know the sleep until a moment, sleeps by a timeout.
PATIENT = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds)"


class Overloaded(BaseHTTPRequestHandler):
    """A store that has no time, in Amazon's words."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Take the body, keep nothing."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
        self.send_response(503)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def refusing(store: TcpFault) -> Iterator[None]:
    """Nobody listens where the store was."""
    with store.spoiled(Toxic("refuse")):
        yield


@contextmanager
def overloaded(store: TcpFault) -> Iterator[None]:
    """Everything is answered 503."""
    server, target = ThreadingHTTPServer(("127.0.0.1", 0), Overloaded), store.target
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store.target = ("127.0.0.1", server.server_address[1])
    store.cut()
    try:
        yield
    finally:
        store.target = target
        store.cut()
        server.shutdown()
        server.server_close()


@contextmanager
def swallowing(store: TcpFault, direction: Literal["up", "down"]) -> Iterator[None]:
    """What goes there, or what comes back, vanishes; connections stay."""
    with store.spoiled(Toxic("timeout", direction)):
        yield
    store.cut()


def spooled(scene: Scene) -> list[Path]:
    """The files that wait in the spool."""
    return [path for path in (scene.folder / "spool").glob("*") if path.name.isdigit()]


def uploads(server: S3Server) -> list[dict[str, Any]]:
    """Uploads in parts that were begun and not ended, of this database's outputs: others share the server."""
    begun: list[dict[str, Any]] = server.client().list_multipart_uploads(Bucket=server.bucket).get("Uploads", [])
    rows = Output.objects.values_list("prediction__user_id", "pk")
    own = tuple(f"{owner}/{output}/" for owner, output in rows)
    return [upload for upload in begun if upload["Key"].startswith(own)]


def orphans() -> set[str]:
    """Keys of objects that no asset names."""
    return oracle.stored_keys() - {
        key for asset in Asset.objects.all() for key in (asset.storage_key, *asset.derived_keys())
    }


class TestAStoreThatIsAway:
    @pytest.mark.row("F43")
    @pytest.mark.parametrize("how", [refusing, overloaded])
    def test_delays_and_loses_nothing(self, spoiled_store: TcpFault, scene: Scene, how: Any) -> None:
        """What is recoverable is never called failed, and is not generated a second time."""
        asked = [scene.ask(f"number {n}") for n in range(5)]
        with how(spoiled_store):
            scene.worker(**MANY)
            scene.wait(lambda: scene.make_due() or len(spooled(scene)) == 5)  # type: ignore[func-returns-value]
            for prediction in asked:
                self.is_being_saved(scene, prediction)
            assert Alert.objects.filter(name="store_unavailable", over_at=None).exists()
            self.closes_the_door(scene)
        scene.lapse(A_PAUSE)
        scene.settle(hurried=True)

        self.is_as_if_nothing_had_been(scene, asked)
        assert Alert.objects.get(name="store_unavailable").over_at
        scene.note(oracle.check(scene))

    @pytest.mark.row("F43")
    @pytest.mark.timeout(420)
    def test_swallows_and_loses_nothing(self, spoiled_store: TcpFault, scene: Scene) -> None:
        """However often it is asked for meanwhile, each file is stored once."""
        asked = [scene.ask(f"number {n}") for n in range(5)]
        with swallowing(spoiled_store, "up"):
            scene.worker(**MANY)
            scene.wait(lambda: len(spooled(scene)) == 5, seconds=150)
            for prediction in asked:
                self.is_being_saved(scene, prediction)
        with within(180):
            scene.settle(seconds=180)

        self.is_as_if_nothing_had_been(scene, asked)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F43")
    def test_while_no_file_can_wait_here_leaves_them_at_the_provider(
        self, spoiled_store: TcpFault, scene: Scene
    ) -> None:
        asked = [scene.ask(f"number {n}") for n in range(3)]
        with refusing(spoiled_store):
            scene.worker(SPOOL_MAX_BYTES="1", **MANY)
            scene.wait(lambda: Output.objects.filter(error_code="storage_unavailable").count() == 3)
            assert spooled(scene) == []
        scene.lapse(A_PAUSE)
        scene.settle(hurried=True)

        for prediction in asked:
            is_whole(scene, prediction)
        scene.note(oracle.check(scene))

    def is_being_saved(self, scene: Scene, prediction: Prediction) -> None:
        for _ in range(3):
            told = scene.told(prediction)
        assert (told["status"], told["stage"], told["cost"]) == ("processing", "storing", "0.039")
        assert "output" not in told and "/delivery/" not in str(told)
        assert "Saving to your gallery" in scene.card(prediction)

    def closes_the_door(self, scene: Scene) -> None:
        """As soon as what waits has less than twenty minutes left."""
        one_more = scene.ask("one more")
        scene.wait(lambda: scene.status(one_more) == "storing")
        scene.lapse(41 * 60)
        scene.wait(lambda: scene.program.post(IMAGE, {"prompt": PROMPT}).status_code == 503)
        refused = scene.program.post(IMAGE, {"prompt": PROMPT})
        assert refused.headers["Retry-After"] and refused.json()["charged"] == "none"

    def is_as_if_nothing_had_been(self, scene: Scene, asked: list[Prediction]) -> None:
        for prediction in asked:
            is_whole(scene, prediction)
            assert deliveries(scene, prediction) == 1
        names = set(PredictionEvent.objects.values_list("name", flat=True))
        assert not names & {"failed", "lost", "output_lost", "requeued"}
        assert scene.creates() == Prediction.objects.count() == LedgerEntry.objects.filter(kind="settle").count()


class TestAnUploadInParts:
    @pytest.mark.row("F44")
    def test_that_breaks_off_is_taken_back_and_begun_anew(
        self, on_s3: S3Server, spoiled_store: TcpFault, scene: Scene
    ) -> None:
        prediction = ask_unfetched(scene)
        lengthen(scene, prediction, 30 * 1024**2)
        with spoiled_store.spoiled(Toxic("reset_peer", "up", when=b"partNumber=3", forward=True)):
            scene.worker(lanes=KEEPERS)
            scene.wait(lambda: spooled(scene))
            assert uploads(on_s3) == [] and oracle.stored_keys() == set()
        scene.lapse(A_PAUSE)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert uploads(on_s3) == []
        scene.note(oracle.check(scene))

    @pytest.mark.row("F44")
    def test_of_a_killed_worker_is_begun_anew_and_swept_after_an_hour(
        self, on_s3: S3Server, spoiled_store: TcpFault, scene: Scene
    ) -> None:
        prediction = ask_unfetched(scene)
        lengthen(scene, prediction, 30 * 1024**2)
        with spoiled_store.spoiled(Toxic("bandwidth", "up", size=8 * 1024**2)):
            dying = scene.worker(lanes=KEEPERS)
            scene.wait(lambda: uploads(on_s3))
            dying.kill()
        scene.let_leases_end()
        scene.worker(lanes=KEEPERS)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        scene.run("reconcile")
        assert len(uploads(on_s3)) == 1, "it may still be under way"
        assert storage.abort_stale_uploads(begun_before=timezone.now() + timedelta(seconds=5)) == 1
        assert uploads(on_s3) == []
        scene.note(oracle.check(scene, scratch=1))


class TestAnObjectWithoutAnAsset:
    @pytest.mark.row("F45")
    def test_is_left_by_a_put_whose_answer_was_lost(self, spoiled_store: TcpFault, scene: Scene) -> None:
        prediction = ask_unfetched(scene)
        # The client itself tries a second time.
        spoiled_store.poison(Toxic("reset_peer", "down", when=b"HTTP/1.1 200", times=2))
        scene.worker(lanes=KEEPERS)
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert Asset.objects.count() == len(orphans()) == 1
        scene.note(oracle.check(scene, orphans=1))

    @pytest.mark.row("F45")
    @pytest.mark.timeout(300)
    def test_is_left_by_a_put_whose_answer_never_came(self, spoiled_store: TcpFault, scene: Scene) -> None:
        prediction = ask_unfetched(scene)
        with swallowing(spoiled_store, "down"):
            scene.worker(lanes=KEEPERS)
            scene.wait(lambda: spooled(scene), seconds=120)
        with within(180):
            scene.settle(seconds=180)

        is_whole(scene, prediction)
        assert Asset.objects.count() == len(orphans()) == 1
        scene.note(oracle.check(scene, orphans=1))

    @pytest.mark.row("F46")
    def test_is_left_by_a_worker_that_died_and_collected_after_a_day(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker_that_dies("store.after_put")
        assert len(orphans()) == 1 and not Asset.objects.exists()
        scene.let_leases_end()

        scene.worker()
        scene.settle(hurried=True)

        is_whole(scene, prediction)
        assert Asset.objects.count() == 1
        oracle.check(scene, orphans=1, scratch=1)
        scene.run("reconcile")
        assert len(orphans()) == 1, "its asset may still be on its way"
        assert audit.collect_orphans(now=timezone.now() + timedelta(hours=25)).deleted == 1
        scene.note(oracle.check(scene, scratch=1))


class TestAnAssetWithoutAnObject:
    @pytest.mark.row("F47")
    def test_is_found_by_the_audit_and_shown_as_missing(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker()
        scene.settle()
        asset = Asset.objects.get()
        with storage.as_file(asset.storage_key) as path:
            content = path.read_bytes()
        storage.delete(asset.storage_key)
        assert self.answer(scene, asset) < 500
        scene.stop_workers()
        StorageState.objects.update(audited_at=timezone.now() - timedelta(hours=1))

        scene.worker()
        scene.wait(lambda: Asset.objects.exclude(missing_at=None).exists())
        assert self.answer(scene, asset) == 404
        assert "The file is missing" in scene.card(prediction)
        assert Alert.objects.filter(name="objects_missing", over_at=None).exists()
        assert f"the file of asset {asset.pk} is missing" in scene.run("reconcile", expected=1)
        oracle.check(scene, missing=1)

        back = scene.folder / "back"
        back.write_bytes(content)
        storage.put(path=back, key=asset.storage_key, content_type=asset.content_type)
        scene.run("reconcile")
        assert not Asset.objects.exclude(missing_at=None).exists()
        assert self.answer(scene, asset) in (200, 302)
        scene.note(oracle.check(scene))

    def answer(self, scene: Scene, asset: Asset) -> int:
        return scene.program.get(f"/assets/{asset.pk}/file").status_code


class TestAKeyThatTheStoreRefuses:
    @pytest.mark.row("F48")
    def test_loses_nothing_while_there_is_time(self, on_s3: S3Server, scene: Scene) -> None:
        self.try_with(scene, A_PAUSE, S3_SECRET_ACCESS_KEY="rotated-and-not-told")

    @pytest.mark.row("F48")
    def test_because_our_clock_is_wrong_loses_nothing_while_there_is_time(
        self, on_s3: S3Server, scene: Scene, tmp_path: Path
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(PATIENT)
        # Where the database has no clock but ours (SQLite), what was put off by the wrong one waits for the right one.
        self.try_with(scene, 20 * 60 + A_PAUSE, PYTHONPATH=str(tmp_path), **faked_clock("+20m"))

    def try_with(self, scene: Scene, pause: float, **spoiled: Any) -> None:
        asked = [ask_unfetched(scene), scene.ask("a hill")]
        scene.wait(lambda: {scene.status(prediction) for prediction in asked} == {"storing"})
        wrong = scene.worker(lanes=KEEPERS, **spoiled)
        refused = Alert.objects.filter(name="store_refused", over_at=None, detail__contains="does not take our key")
        scene.wait(refused.exists)
        scene.wait(lambda: scene.make_due() or len(spooled(scene)) == 2)  # type: ignore[func-returns-value]
        wrong.terminate()
        assert {scene.told(prediction)["stage"] for prediction in asked} == {"storing"}
        assert oracle.stored_keys() == set()

        scene.lapse(pause)
        scene.worker(lanes=KEEPERS)
        scene.settle(hurried=True)

        for prediction in asked:
            is_whole(scene, prediction)
            assert deliveries(scene, prediction) == 1
        assert Alert.objects.get(name="store_refused").over_at
        scene.note(oracle.check(scene))
