"""F39 to F41: a file is what it says it is, and yet must not be opened by just anybody."""

import io
import os
import signal
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests
from PIL import Image

from gallery import storage
from gallery.derivatives_child import SIDES
from gallery.models import Asset
from gallery.tests import samples
from generation.models import Prediction
from generation.tests.torture import oracle
from generation.tests.torture.outputs import MANY, ask_spoiled, content, is_lost
from generation.tests.torture.scene import Scene, within
from generation.tests.torture.surroundings import Process

pytestmark = pytest.mark.django_db(transaction=True)
PNG = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, pixels: bytes, *more: bytes) -> bytes:
    """A PNG in true colour with these compressed pixels, and `more` chunks before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG + header + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def deflated(gibibytes: int) -> bytes:
    """So many GiB of zeros in zlib's format: one block of 16 MiB over and over."""
    packer, count = zlib.compressobj(9), 64 * gibibytes
    block = packer.compress(bytes(16 * 1024**2)) + packer.flush(zlib.Z_FULL_FLUSH)
    head, again = block[:2], block[2:]
    checksum = (count * 16 * 1024**2 % 65_521) << 16 | 1
    return head + again * count + b"\x03\0" + struct.pack(">I", checksum)


def gif(frames: int) -> bytes:
    """A GIF of so many frames of one pixel."""
    frame = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b"\x3b"


def webp(frames: int) -> bytes:
    """An animated WebP of so many frames of a few pixels."""
    moving = samples.picture("WEBP", size=(16, 16), frames=2, lossless=True)
    at, head, frame = 12, b"", b""
    while at < len(moving):
        name, length = struct.unpack("<4sI", moving[at : at + 8])
        whole = moving[at : at + 8 + length + length % 2]
        head, frame = (head, whole) if name == b"ANMF" else (head + whole, frame)
        at += len(whole)
    body = b"WEBP" + head + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


class TestABomb:
    @pytest.mark.row("F39")
    @pytest.mark.parametrize(
        ("make", "size"),
        [
            pytest.param(lambda: samples.bomb(side=64_000), (64_000, 64_000), id="64000 x 64000 pixels"),
            pytest.param(
                lambda: png(30_000, 30_000, deflated(1)), (30_000, 30_000), id="900 megapixels that are there"
            ),
            pytest.param(lambda: png(6_000, 6_000, deflated(4)), (6_000, 6_000), id="4 GiB behind the pixels"),
            pytest.param(lambda: gif(100_000), (1, 1), id="100000 frames of a GIF"),
            pytest.param(lambda: webp(100_000), (16, 16), id="100000 frames of a WebP"),
        ],
    )
    def test_is_kept_as_it_is_and_hurts_nobody(
        self, scene: Scene, make: Callable[[], bytes], size: tuple[int, int]
    ) -> None:
        data = make()
        prediction, other = ask_spoiled(scene, "bomb", content(data)), scene.ask("another")
        worker = scene.worker()
        with within(60):
            scene.settle(hurried=True)

        assert {scene.status(prediction), scene.status(other)} == {"succeeded"}
        asset = Asset.objects.get(prediction_id=prediction.pk)
        assert (asset.width, asset.height, asset.size_bytes) == (*size, len(data))
        assert thumbnail(asset) is None or max(*thumbnail(asset)) <= max(SIDES)  # type: ignore[misc]
        assert worker.state() in "RS"
        scene.note(f"{worker.memory_bytes() / 1024**2:.0f} MiB; {oracle.check(scene)}")

    @pytest.mark.row("F39")
    def test_in_the_encoding_of_the_answer_is_not_unpacked(self, scene: Scene) -> None:
        prediction = ask_spoiled(scene, "packed", content(deflated(1), encoding="deflate"))

        worker = scene.worker()
        scene.settle(hurried=True)

        is_lost(scene, prediction, "file_refused")
        assert worker.memory_bytes() < 250 * 1024**2
        scene.note(oracle.check(scene))

    @pytest.mark.row("F39")
    def test_in_a_profile_or_a_text_is_not_unpacked(self, scene: Scene) -> None:
        pixels, big = zlib.compress(bytes(3 * 65 * 64)), deflated(1)
        bombs = [chunk(b"iCCP", b"x\0\0" + big), chunk(b"zTXt", b"Comment\0\0" + big)]
        asked = [ask_spoiled(scene, f"hidden {n}", content(png(64, 64, pixels, bomb))) for n, bomb in enumerate(bombs)]

        worker = scene.worker()
        with within(60):
            scene.settle(hurried=True)

        assert {scene.status(prediction) for prediction in asked} <= {"succeeded", "lost"}
        assert worker.memory_bytes() < 250 * 1024**2
        scene.note(oracle.check(scene))


def thumbnail(asset: Asset) -> tuple[int, int] | None:
    """The size of an asset's thumbnail, None where there is none."""
    if not asset.thumbnail_key:
        return None
    with storage.as_file(asset.thumbnail_key) as path, Image.open(path, formats=["WEBP"]) as opened:
        return opened.size


SCRIPT = b"<html><body><script>alert(document.domain)</script></body></html>"
SVG = b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
PDF = b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF"


class TestAPolyglot:
    KINDS: ClassVar = {"png": ("PNG", SCRIPT), "jpeg": ("JPEG", SVG), "webp": ("WEBP", PDF)}

    @pytest.mark.row("F40")
    def test_is_served_as_the_picture_that_it_is_and_in_a_cage(self, scene: Scene) -> None:
        asked = {
            kind: ask_spoiled(scene, kind, content(samples.picture(form) + tail))
            for kind, (form, tail) in self.KINDS.items()
        }

        scene.worker(**MANY)
        scene.settle(hurried=True)

        for kind, prediction in asked.items():
            asset = scene.told(prediction)["assets"][0]
            assert asset["contentType"] == f"image/{kind}"
            for address in (asset["url"], asset["url"] + "?download=1", asset["thumbnailUrl"]):
                answer = scene.program.get(address)
                self.is_caged(answer)
                assert self.type_of(answer) == ("image/webp" if "thumbnail" in address else f"image/{kind}")
            assert b"alert" in self.bytes_of(scene.program.get(asset["url"]))
            assert b"alert" not in self.bytes_of(scene.program.get(asset["thumbnailUrl"]))
        scene.note(oracle.check(scene))

    @pytest.mark.row("F40")
    def test_that_is_a_picture_in_its_first_bytes_only_is_not_kept(self, scene: Scene) -> None:
        heads = {"gif": b"GIF89a/*" + SCRIPT + b"*/=1;", "jpeg": b"\xff\xd8\xff\xe0" + SCRIPT, "png": PNG + SVG}
        asked = [ask_spoiled(scene, kind, content(head)) for kind, head in heads.items()]

        scene.worker(**MANY)
        scene.settle(hurried=True)

        for prediction in asked:
            is_lost(scene, prediction, "file_unusable")
        assert not Asset.objects.exists() and not oracle.stored_keys()
        scene.note(oracle.check(scene))

    def is_caged(self, answer: requests.Response) -> None:
        assert answer.status_code in (200, 302)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"

    def type_of(self, answer: requests.Response) -> str:
        return self.followed(answer).headers["Content-Type"]

    def bytes_of(self, answer: requests.Response) -> bytes:
        return self.followed(answer).content

    def followed(self, answer: requests.Response) -> requests.Response:
        """What the store says where it is asked itself."""
        if answer.status_code == 302:
            return requests.get(answer.headers["Location"], timeout=30)
        return answer


class TestADecoder:
    """The child that makes thumbnails, of a picture that keeps it busy for a moment."""

    @pytest.fixture
    def busy(self) -> bytes:
        buffer = io.BytesIO()
        Image.effect_noise((5_000, 5_000), 60).convert("RGB").save(buffer, "JPEG", quality=60, progressive=True)
        return buffer.getvalue()

    @pytest.mark.row("F41")
    def test_that_crashes_once_is_started_again(self, scene: Scene, busy: bytes) -> None:
        prediction, worker = self.decoded(scene, busy)
        os.kill(child_of(scene, worker), signal.SIGSEGV)
        scene.wait(lambda: scene.status(prediction) == "succeeded")
        assert scene.told(prediction)["assets"][0]["thumbnailUrl"] is None
        scene.settle(hurried=True)

        assert scene.told(prediction)["assets"][0]["thumbnailUrl"]
        assert worker.state() in "RS"
        scene.note(oracle.check(scene))

    @pytest.mark.row("F41")
    def test_that_crashes_three_times_leaves_the_picture_without_a_thumbnail(self, scene: Scene, busy: bytes) -> None:
        prediction, worker = self.decoded(scene, busy)
        last = 0
        for _ in range(3):
            last = child_of(scene, worker, after=last)
            os.kill(last, signal.SIGKILL)
        other = scene.ask("another")
        scene.settle(hurried=True)

        told = scene.told(prediction)
        assert (told["status"], told["assets"][0]["thumbnailUrl"]) == ("succeeded", None)
        assert scene.told(other)["assets"][0]["thumbnailUrl"]
        assert "Generation complete!" in scene.card(prediction)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F41")
    def test_that_cannot_read_the_file_leaves_the_picture_without_a_thumbnail(self, scene: Scene) -> None:
        prediction, _ = self.decoded(scene, png(64, 64, b"no pixels at all"))
        scene.settle(hurried=True)

        told = scene.told(prediction)
        assert (told["status"], told["assets"][0]["thumbnailUrl"]) == ("succeeded", None)
        scene.note(oracle.check(scene))

    @pytest.mark.row("F41")
    def test_that_hangs_is_ended_after_half_a_minute_and_started_again(self, scene: Scene, busy: bytes) -> None:
        prediction, worker = self.decoded(scene, busy)
        os.kill(child_of(scene, worker), signal.SIGSTOP)
        other = scene.ask("another")
        scene.wait(lambda: scene.status(other) == "succeeded", seconds=20)
        with within(45):
            scene.settle(hurried=True)

        assert scene.told(prediction)["assets"][0]["thumbnailUrl"]
        assert worker.state() in "RS"
        scene.note(oracle.check(scene))

    def decoded(self, scene: Scene, data: bytes) -> tuple[Prediction, Process]:
        """A picture on its way to the decoder, and the worker that has it."""
        return ask_spoiled(scene, "picture", content(data)), scene.worker()


def child_of(scene: Scene, worker: Process, *, after: int = 0) -> int:
    """The process that decodes for this worker, once there is one; `after` has been seen before."""
    found: list[int] = []

    def look() -> Any:
        scene.make_due()
        found[:] = [pid for pid in decoders(worker.pid) if pid != after]
        return found

    scene.wait(look)
    return found[0]


def decoders(pid: int) -> list[int]:
    """What decodes for a process now: forked by guards, which are forked by what has the decoders loaded."""
    mothers = [mother for mother in children(pid) if b"decoding.py" in words_of(mother)]
    guards = [guard for mother in mothers for guard in children(mother)]
    return [decoder for guard in guards for decoder in children(guard)]


def children(pid: int) -> list[int]:
    """The children of all threads of a process."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def words_of(pid: int) -> bytes:
    """With what a process was called; nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
