"""Thumbnails, posters and colours, and the child that may be lost."""

import io
import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from PIL import Image

from accounts.models import User
from gallery import child, derivatives, storage
from gallery.leases import claim
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.tests import samples
from gallery.tests.making import make_asset, make_film
from gallery.tests.s3server import S3Server


def derive_due() -> Asset:
    """Lease the one asset that is due, derive it, and read it again."""
    Asset.objects.exclude(due_at=None).update(due_at=timezone.now() - timedelta(seconds=1))
    [leased] = claim(Asset.objects.all())
    derivatives.derive(leased)
    return Asset.objects.get(pk=leased.pk)


def opened(key: str) -> Image.Image:
    with storage.as_file(key) as path:
        return Image.open(io.BytesIO(path.read_bytes()))


class TestDerive:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
    def test_makes_a_thumbnail_and_colours(self, owner: User, format: str) -> None:
        make_asset(owner=owner, content=samples.picture(format, size=(1024, 576)))

        asset = derive_due()

        assert (asset.due_at, asset.lease_token) == (None, None)
        thumbnail = opened(asset.thumbnail_key)
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (640, 360))
        assert len(bytes.fromhex(asset.placeholder)) == 9
        assert bytes.fromhex(asset.placeholder)[1] == pytest.approx(0x6C, abs=6)
        assert (asset.poster_key, asset.preview_key) == ("", "")

    def test_makes_a_thumbnail_for_every_width(self, owner: User) -> None:
        make_asset(owner=owner, content=samples.picture(size=(1600, 3200)))

        asset = derive_due()

        assert {width: opened(key).size for width, key in asset.thumbnails.items()} == {
            "160": (160, 320),
            "320": (320, 640),
            "640": (640, 1280),
        }
        assert asset.thumbnail_key == asset.thumbnails["320"]

    def test_never_enlarges(self, owner: User) -> None:
        make_asset(owner=owner, content=samples.picture(size=(64, 36)))

        assert opened(derive_due().thumbnail_key).size == (64, 36)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "1"])
    def test_shows_every_way_of_colour(self, owner: User, mode: str) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (600, 300)).save(buffer, "PNG")
        make_asset(owner=owner, content=buffer.getvalue())

        assert opened(derive_due().thumbnail_key).size == (600, 300)

    def test_shows_sixteen_bits_as_bright_as_they_are(self, owner: User) -> None:
        buffer = io.BytesIO()
        Image.new("I;16", (64, 36), 0x8000).save(buffer, "PNG")
        make_asset(owner=owner, content=buffer.getvalue())

        assert bytes.fromhex(derive_due().placeholder)[0] == pytest.approx(0x80, abs=3)

    def test_takes_the_first_frame_with_something_to_see_as_poster(self, owner: User) -> None:
        make_film(owner=owner)

        asset = derive_due()

        poster = opened(asset.poster_key)
        assert (poster.format, poster.size) == ("WEBP", (320, 180))
        right = poster.convert("RGB").getpixel((310, 90))
        assert isinstance(right, tuple) and right[0] > 180
        assert opened(asset.thumbnail_key).size == (320, 180)
        assert len(asset.placeholder) == 18

    def test_makes_a_silent_preview_of_a_film(self, owner: User, tmp_path: Path) -> None:
        content = samples.film(tmp_path / "film.mp4", size=(1280, 720), seconds=7).read_bytes()
        make_asset(owner=owner, content=content)

        asset = derive_due()

        with storage.as_file(asset.preview_key) as path, av.open(str(path)) as preview:
            assert [stream.type for stream in preview.streams] == ["video"]
            frame = next(preview.decode(video=0))
            assert (frame.width, frame.height) == (480, 270)
            assert (preview.duration or 0) / 1_000_000 == pytest.approx(4, abs=0.2)
            assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")

    @pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
    def test_makes_a_preview_of_a_moving_picture(self, owner: User, format: str) -> None:
        make_asset(owner=owner, content=samples.picture(format, size=(63, 37), frames=5, duration=200))

        with storage.as_file(derive_due().preview_key) as path, av.open(str(path)) as preview:
            assert len(list(preview.decode(video=0))) == 5

    def test_takes_a_cameras_second_picture_for_no_movement(self, owner: User) -> None:
        make_asset(owner=owner, content=samples.picture("MPO", frames=2))

        assert derive_due().preview_key == ""

    def test_shows_a_film_of_which_no_preview_can_be_made(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        run = child.run_child
        monkeypatch.setattr(derivatives, "run_child", lambda *words: None if words[0] == "preview" else run(*words))
        make_film(owner=owner)

        asset = derive_due()

        assert (asset.due_at, asset.preview_key, bool(asset.poster_key)) == (None, "", True)

    @pytest.mark.parametrize(
        "found",
        [
            {},
            {"widths": [], "placeholder": "0" * 18},
            {"widths": ["../../secret"], "placeholder": "0" * 18},
            {"widths": list(range(1000)), "placeholder": "0" * 18},
            {"widths": [320], "placeholder": "0" * 18},
            {"widths": [640], "placeholder": "<script>"},
            {"widths": [640], "placeholder": 7},
            {"widths": [641], "placeholder": "0" * 18},
        ],
    )
    def test_believes_nothing_that_a_child_says(
        self, owner: User, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]
    ) -> None:
        def owned(operation: str, reader: str, source: str, folder: str) -> dict[str, Any]:
            (Path(folder) / "640.webp").write_bytes(samples.picture("WEBP"))
            (Path(folder) / "320.webp").write_text("<svg onload='alert(1)'>")
            (Path(folder) / "641.webp").symlink_to(source)
            return found

        monkeypatch.setattr(derivatives, "run_child", owned)
        make_asset(owner=owner)

        asset = derive_due()

        assert (asset.thumbnail_key, asset.thumbnails, asset.placeholder) == ("", {}, "")
        assert len(list(storage.listing())) == 1

    def test_deletes_what_was_there_before(self, owner: User) -> None:
        make_film(owner=owner)
        before = derive_due()
        derivatives.make_due(Asset.objects.all())

        after = derive_due()

        assert not before.derived_keys() & after.derived_keys()
        assert {item.key for item in storage.listing()} == {after.storage_key, *after.derived_keys()}

    def test_keeps_what_was_there_before_when_it_fails(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        make_asset(owner=owner)
        before = derive_due()
        derivatives.make_due(Asset.objects.all())
        monkeypatch.setattr(derivatives, "run_child", lambda *_: None)

        for _ in range(3):
            after = derive_due()

        assert (after.due_at, after.derived_keys()) == (None, before.derived_keys())
        assert all(storage.size_of(key) for key in before.derived_keys())

    def test_names_its_asset_in_every_key(self, owner: User) -> None:
        make_film(owner=owner)

        asset = derive_due()

        assert {storage.derived_from(key) for key in asset.derived_keys()} == {asset.pk}
        assert len(asset.derived_keys()) == 2

    def test_works_at_an_s3_store(self, owner: User, in_s3: S3Server) -> None:
        make_asset(owner=owner)

        assert opened(derive_due().thumbnail_key).format == "WEBP"

    def test_gives_up_after_three_tries(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(derivatives, "run_child", lambda *_: None)
        make_asset(owner=owner)

        for _ in range(2):
            assert derive_due().due_at is not None
        asset = derive_due()

        assert (asset.due_at, asset.thumbnail_key, asset.quarantined_at) == (None, "", None)

    def test_waits_for_a_store_that_is_down(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        def put(**_: Any) -> None:
            raise StorageError("down", status=503)

        make_asset(owner=owner)
        monkeypatch.setattr(storage, "put", put)

        for _ in range(6):
            assert derive_due().due_at is not None

        monkeypatch.undo()
        assert derive_due().due_at is None

    def test_gives_up_on_a_file_that_is_not_there(self, owner: User) -> None:
        asset = make_asset(owner=owner)
        storage.delete(asset.storage_key)

        for _ in range(2):
            derive_due()

        assert derive_due().due_at is None

    def test_leaves_nothing_behind_when_the_lease_was_lost(self, owner: User, tmp_path: Path) -> None:
        asset = make_asset(owner=owner)
        [leased] = claim(Asset.objects.all())
        Asset.objects.filter(pk=asset.pk).update(lease_token=None, lease_until=None)

        derivatives.derive(leased)

        asset.refresh_from_db()
        assert asset.thumbnail_key == ""
        assert len([path for path in (tmp_path / "assets").rglob("*") if path.is_file()]) == 1


def resident(name: str = "VmRSS") -> int:
    """KiB of memory that this process has now, or (VmHWM) has had at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


class TestChild:
    """Hostile files end the child, never its parent."""

    @pytest.mark.parametrize(
        "content",
        [
            samples.bomb(side=12_000),
            samples.bomb(side=65_000),
            samples.picture("JPEG", size=(640, 480))[:500],
            b"not a picture",
            b"",
        ],
    )
    def test_ends_soon_on_nasty_pictures(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "nasty").write_bytes(content)
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        found = child.run_child("image", "PNG", str(tmp_path / "nasty"), str(tmp_path))

        assert found is None
        assert time.monotonic() - started < 30
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024

    def test_is_killed_when_it_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hanging = tmp_path / "hanging.py"
        hanging.write_text("import time\ntime.sleep(60)\n")
        monkeypatch.setattr(child, "CHILD", hanging)

        assert child.run_child("image", seconds=0.3) is None

    def test_may_crash(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        crashing = tmp_path / "crashing.py"
        crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
        monkeypatch.setattr(child, "CHILD", crashing)

        assert child.run_child("image") is None

    def test_may_speak_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        talking = tmp_path / "talking.py"
        talking.write_text(
            "import sys\nfor _ in range(64): sys.stderr.write('x' * 2**20); sys.stdout.write('x' * 2**20)\n"
        )
        monkeypatch.setattr(child, "CHILD", talking)
        Path("/proc/self/clear_refs").write_text("5")
        before = resident()

        assert child.run_child("image") is None

        assert resident("VmHWM") - before < 8 * 1024

    def test_knows_no_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        curious = tmp_path / "curious.py"
        curious.write_text("import json, os\nprint(json.dumps(dict(os.environ)))\n")
        monkeypatch.setattr(child, "CHILD", curious)
        monkeypatch.setenv("SECRET_KEY", "canary")

        assert "canary" not in str(child.run_child("image"))

    def test_outgrows_no_bound(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        growing = tmp_path / "growing.py"
        own = f"import runpy\nown = runpy.run_path({str(child.CHILD)!r})\n"
        growing.write_text(own + "own['bound']()\nbytearray(own['MEMORY_BYTES'])\n")
        monkeypatch.setattr(child, "CHILD", growing)

        assert child.run_child("image") is None
        assert "MemoryError" in caplog.text

    def test_is_forked_anew_when_what_forks_has_died(self, tmp_path: Path) -> None:
        (tmp_path / "picture").write_bytes(samples.picture("JPEG", size=(64, 48)))

        def widths() -> Any:
            found = child.run_child("image", "JPEG", str(tmp_path / "picture"), str(tmp_path))
            return found and found["widths"]

        assert widths() == [64]
        killed = decoders()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

        assert killed
        assert widths() == [64]

    @pytest.mark.parametrize("most_forks", [0, 1])
    def test_that_cannot_be_had_is_no_fault_of_the_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_forks: int
    ) -> None:
        """As where no more processes are allowed, to the one that forks or to the one that waits."""
        barren, program = tmp_path / "decoding.py", tmp_path / "never.py"
        barren.write_text(
            f"import os, runpy\nforks = [os.fork] * {most_forks}\n"
            "os.fork = lambda: forks.pop()() if forks else os.open('/nowhere', 0)\n"
            f"runpy.run_path({str(child.MOTHER)!r}, run_name='__main__')\n"
        )
        program.touch()
        monkeypatch.setattr(child, "MOTHER", barren)
        monkeypatch.setattr(child, "CHILD", program)

        with pytest.raises(OSError, match="no decoding child"):
            child.run_child("image")

    def test_that_cannot_even_complain_has_failed(self, tmp_path: Path) -> None:
        failing = tmp_path / "failing.py"
        failing.write_text("raise OSError(28, 'No space left on device')\n")
        mother = child.Mother(failing)

        with (tmp_path / "said").open("wb") as said, Path("/dev/full").open("wb") as complained:
            answer = mother.ask(b"[5]", said, complained)
            assert answer
            with answer:
                assert answer.recv(16) == b"1"
        mother.let_go()

    def test_goes_on_when_all_are_told_to_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """systemd tells every process of a service; the one that asked wants its answer before it ends."""
        slow = tmp_path / "slow.py"
        slow.write_text("import json, time\ntime.sleep(1)\nprint(json.dumps({'done': True}))\n")
        monkeypatch.setattr(child, "CHILD", slow)

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(child.run_child, "image")
            # The mother, the one that waits, and the one that decodes.
            while len(decoding := decoders()) < 3:
                time.sleep(0.01)
            for pid in decoding:
                os.kill(pid, signal.SIGTERM)

        assert answer.result() == {"done": True}

    def test_many_at_once_each_get_their_own_answer(self, tmp_path: Path) -> None:
        sizes = range(40, 72)
        for side in sizes:
            (tmp_path / f"{side}").write_bytes(samples.picture("PNG", size=(side, 8)))
            (tmp_path / f"of-{side}").mkdir()

        def widths(side: int) -> Any:
            found = child.run_child("image", "PNG", str(tmp_path / f"{side}"), str(tmp_path / f"of-{side}"))
            return found and found["widths"]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(widths, sizes)) == [[side] for side in sizes]

    def test_is_started_anew_for_a_process_that_was_forked(self, tmp_path: Path) -> None:
        (tmp_path / "picture").write_bytes(samples.picture("JPEG", size=(64, 48)))
        words = ("image", "JPEG", str(tmp_path / "picture"), str(tmp_path))
        assert child.run_child(*words)

        if (pid := os.fork()) == 0:
            os._exit(0 if child.run_child(*words) else 1)

        assert os.waitpid(pid, 0)[1] == 0
        assert child.run_child(*words)


def decoders() -> list[int]:
    """What decodes for this process, or waits to; not what ends while it is looked at."""
    found = []
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            if b"decoding.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def descendants(pid: int) -> list[int]:
    """All processes that come from `pid`, its children first."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, path.read_text().split())
    return found[1:]


class TestCommand:
    @pytest.fixture
    def three(self, owner: User) -> list[Asset]:
        """Finished as an earlier version left it, complete, and never derived."""
        assets = [make_asset(owner=owner) for _ in range(3)]
        Asset.objects.update(due_at=None, thumbnail_key="1/x/y.webp", thumbnails={"64": "1/x/y.webp"})
        Asset.objects.filter(pk=assets[0].pk).update(thumbnails={})
        Asset.objects.filter(pk=assets[2].pk).update(thumbnails={}, thumbnail_key="")
        return assets

    def due(self) -> list[Any]:
        return list(Asset.objects.exclude(due_at=None).order_by("pk").values_list("pk", flat=True))

    def test_makes_everything_anew(self, three: list[Asset]) -> None:
        call_command("derive", "--all")

        assert self.due() == [asset.pk for asset in three]

    def test_makes_what_is_missing(self, three: list[Asset], owner: User) -> None:
        film = make_film(owner=owner)
        Asset.objects.filter(pk=film.pk).update(due_at=None, thumbnails={"64": "1/x/y.webp"})

        call_command("derive", "--missing")

        assert self.due() == [three[0].pk, three[2].pk, film.pk]

    def test_makes_those_that_are_named(self, three: list[Asset], capsys: pytest.CaptureFixture[str]) -> None:
        call_command("derive", str(three[1].pk))

        assert self.due() == [three[1].pk]
        assert capsys.readouterr().out == "Derivatives of 1 asset are due; the worker makes them.\n"

    def test_brings_back_what_was_set_aside(self, three: list[Asset]) -> None:
        now = timezone.now()
        Asset.objects.filter(pk=three[0].pk).update(due_at=now, quarantined_at=now, claims=5)

        call_command("derive", "--all")

        assert [asset.pk for asset in claim(Asset.objects.filter(pk=three[0].pk))] == [three[0].pk]

    def test_goes_through_many(self, three: list[Asset], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(derivatives, "BATCH", 2)

        assert derivatives.make_due(Asset.objects.all()) == 3

    def test_lets_new_assets_go_first(self, three: list[Asset], owner: User) -> None:
        call_command("derive", "--all")
        fresh = make_asset(owner=owner, now=timezone.now())

        assert claim(Asset.objects.all(), order_by=derivatives.LATEST_DUE) == [fresh]

    @pytest.mark.parametrize("words", [[], ["--all", "--missing"], ["none"], ["0198f0f0-0000-7000-8000-000000000000"]])
    def test_says_what_it_does_not_understand(self, three: list[Asset], words: list[str]) -> None:
        with pytest.raises(CommandError):
            call_command("derive", *words)

        assert self.due() == []
