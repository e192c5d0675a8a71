"""Facts of files, and which files are refused."""

import hashlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gallery import child
from gallery.files import UnusableFile, inspect
from gallery.tests import samples


def kept(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class TestInspect:
    @pytest.mark.parametrize(
        ("format", "content_type", "extension"),
        [
            ("JPEG", "image/jpeg", "jpg"),
            ("PNG", "image/png", "png"),
            ("WEBP", "image/webp", "webp"),
            ("GIF", "image/gif", "gif"),
            ("AVIF", "image/avif", "avif"),
        ],
    )
    def test_tells_pictures_by_their_bytes(
        self, tmp_path: Path, format: str, content_type: str, extension: str
    ) -> None:
        facts = inspect(kept(tmp_path / "misleading.mp4", samples.picture(format, size=(64, 36))))

        assert (facts.kind, facts.content_type, facts.extension) == ("image", content_type, extension)
        assert (facts.width, facts.height, facts.duration_seconds) == (64, 36, None)

    @pytest.mark.parametrize(
        ("format", "codec", "content_type"),
        [
            ("mp4", "libx264", "video/mp4"),
            ("mov", "libx264", "video/quicktime"),
            ("webm", "libvpx", "video/webm"),
        ],
    )
    def test_measures_films(self, tmp_path: Path, format: str, codec: str, content_type: str) -> None:
        facts = inspect(samples.film(tmp_path / "film.png", seconds=1, format=format, codec=codec))

        assert (facts.kind, facts.content_type) == ("video", content_type)
        assert (facts.width, facts.height) == (64, 36)
        assert facts.duration_seconds == pytest.approx(1, abs=0.15)

    def test_outlives_a_film_that_crashes_its_decoder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        crashing = kept(tmp_path / "crashing.py", b"import os; os.abort()")
        monkeypatch.setattr(child, "CHILD", crashing)

        with pytest.raises(UnusableFile) as refused:
            inspect(samples.film(tmp_path / "film.mp4"))

        assert refused.value.code == "broken"

    def test_hashes_and_sizes_the_very_bytes(self, tmp_path: Path) -> None:
        path = kept(tmp_path / "x", samples.picture())

        facts = inspect(path)

        assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert facts.size_bytes == path.stat().st_size

    def test_turns_the_size_of_a_picture_on_its_side(self, tmp_path: Path) -> None:
        facts = inspect(kept(tmp_path / "x", samples.photograph(size=(64, 36), orientation=6)))

        assert (facts.width, facts.height) == (36, 64)

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "empty"),
            (b"hello", "unknown_type"),
            (b"<!doctype html><title>Sign in</title>", "unknown_type"),
            (b'{"detail": "not found"}', "unknown_type"),
            (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "unknown_type"),
            (b"%PDF-1.7\n", "unknown_type"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unknown_type"),
            (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "unknown_type"),
            (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "unknown_type"),
            (b"\xff\xd8\xff\xe0" + b"\xff\xd9" * 20, "broken"),
            (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "broken"),
            (samples.bomb(), "too_many_pixels"),
            (samples.bomb(side=8_000), "too_many_pixels"),
        ],
    )
    def test_refuses_what_is_no_picture_or_film(self, tmp_path: Path, content: bytes, code: str) -> None:
        with pytest.raises(UnusableFile) as refused:
            inspect(kept(tmp_path / "picture.png", content))

        assert refused.value.code == code
        assert str(refused.value).endswith(".")

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
    @pytest.mark.parametrize("share", [0.5, 0.99])
    def test_refuses_a_cut_picture(self, tmp_path: Path, format: str, share: float) -> None:
        content = samples.picture(format, size=(320, 200))

        with pytest.raises(UnusableFile) as refused:
            inspect(kept(tmp_path / "x", content[: int(len(content) * share)]))

        assert refused.value.code == "truncated"

    @pytest.mark.parametrize(("format", "codec"), [("mp4", "libx264"), ("mov", "libx264"), ("webm", "libvpx")])
    def test_refuses_a_cut_film(self, tmp_path: Path, format: str, codec: str) -> None:
        path = samples.film(tmp_path / "film", format=format, codec=codec)
        whole = path.read_bytes()

        for length in (len(whole) // 2, len(whole) - 1, 40):
            with pytest.raises(UnusableFile):
                inspect(kept(path, whole[:length]))

    @pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
    def test_refuses_too_many_frames(self, tmp_path: Path, format: str) -> None:
        path = kept(tmp_path / "x", samples.picture(format, size=(320, 8), frames=301, duration=20))

        with pytest.raises(UnusableFile) as refused:
            inspect(path)

        assert refused.value.code == "too_many_frames"

    def test_keeps_a_moving_picture_of_a_few_frames(self, tmp_path: Path) -> None:
        assert inspect(kept(tmp_path / "x", samples.picture("GIF", frames=5, duration=20))).kind == "image"

    def test_refuses_sound_in_the_clothes_of_film(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.mp4"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("aac", rate=44100)
            silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), dtype=np.float32), format="fltp", layout="stereo")
            silence.sample_rate = 44100
            container.mux(stream.encode(silence))
            container.mux(stream.encode(None))

        with pytest.raises(UnusableFile):
            inspect(path)
