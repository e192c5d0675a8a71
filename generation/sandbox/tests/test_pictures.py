"""What is painted: of the asked shape and kind, different for each prompt, led by what is given."""

import base64
import io
from typing import Any

import av
import httpx
import numpy as np
import pytest
from PIL import Image

from generation.sandbox.pictures.choosing import CHOICES, choose
from generation.sandbox.pictures.film import Unwanted
from generation.sandbox.pictures.paint import References, render
from generation.sandbox.pictures.request import read_request
from generation.sandbox.running import RunningSandbox
from generation.sandbox.tests.conftest import VIDEO, create, ended


def painted(kind: str, references: References | None = None, **input: Any) -> bytes:
    """The bytes for an input, small where nothing else is asked."""
    return render(
        read_request(kind, "some/model", {"megapixels": "0.25", **input}),
        index=0,
        references=references or References(),
        wanted=lambda: True,
    )


def opened(data: bytes) -> Image.Image:
    """The picture, loaded."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (96, 64)) -> bytes:
    """A PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


class TestStill:
    @pytest.mark.parametrize(("word", "kind"), [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
    def test_has_the_asked_kind(self, word: str, kind: str) -> None:
        assert opened(painted("image", prompt="a lake", output_format=word)).format == kind

    @pytest.mark.parametrize("word", ["1:1", "16:9", "9:16", "4:5", "21:9"])
    def test_has_the_asked_shape(self, word: str) -> None:
        width, height = opened(painted("image", prompt="a lake", aspect_ratio=word)).size
        across, down = map(int, word.split(":"))

        assert width / height == pytest.approx(across / down, rel=0.01)

    def test_is_of_the_1024_class_where_nothing_is_asked(self) -> None:
        assert opened(painted("image", prompt="dunes", megapixels="1")).size == (1024, 1024)

    def test_differs_for_every_prompt_and_seed_and_never_for_the_same(self) -> None:
        made = [painted("image", prompt=prompt, seed=seed) for prompt in ("lake", "lakes") for seed in (1, 2)]

        assert len(set(made)) == 4
        assert painted("image", prompt="lake", seed=1) == made[0]

    def test_is_no_plain_area(self) -> None:
        for prompt in ("mountain", "sea", "forest", "vase", "planet", "silk", "city"):
            pixels = np.asarray(opened(painted("image", prompt=prompt)), np.float32)
            assert pixels.std() > 12, prompt

    def test_takes_its_colours_from_a_given_picture(self) -> None:
        red = painted("image", References(others=[flat((220, 30, 20))]), prompt="hills", aspect_ratio="1:1")
        blue = painted("image", References(others=[flat((20, 40, 220))]), prompt="hills", aspect_ratio="1:1")

        assert channel_means(red)[0] > channel_means(blue)[0] + 40
        assert channel_means(blue)[2] > channel_means(red)[2] + 40

    def test_takes_its_shape_from_a_given_picture_when_asked_to_match(self) -> None:
        made = painted(
            "image", References(others=[flat((9, 9, 9), (300, 100))]), prompt="hills", aspect_ratio="match_input_image"
        )

        width, height = opened(made).size
        assert width / height == pytest.approx(3, rel=0.02)


class TestScene:
    @pytest.mark.parametrize(
        ("prompt", "scene"),
        [
            ("a castle in the mountains", "mountains"),
            ("northern lights", "aurora"),
            ("neon street in Tokyo at night, rain", "city"),
            ("a ceramic vase on a table", "still life"),
            ("a fox in the forest", "forest"),
        ],
    )
    def test_follows_the_words(self, prompt: str, scene: str) -> None:
        assert choose(prompt, "")[0] is CHOICES[scene]

    def test_without_any_known_word_is_the_hashs_choice(self) -> None:
        assert len({id(choose(f"qqq{number}", "")[0]) for number in range(60)}) > 8


class TestFilm:
    def test_is_h264_that_starts_early_with_the_asked_length_and_lines(self) -> None:
        data = painted("video", prompt="the sea", duration=1, resolution="360p", aspect_ratio="16:9")

        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == (640, 360)
            assert stream.frames == 24
            assert float((stream.duration or 0) * (stream.time_base or 0)) == pytest.approx(1.0)
        assert data.index(b"moov") < data.index(b"mdat")

    def test_moves(self) -> None:
        frames = frames_of(painted("video", prompt="the sea", duration=1, resolution="360p"))

        assert np.abs(frames[0] - frames[-1]).mean() > 0.5

    def test_begins_with_the_given_picture_and_ends_with_the_last(self) -> None:
        given = References(first=flat((200, 30, 30), (160, 90)), last=flat((30, 30, 200), (160, 90)))
        frames = frames_of(painted("video", given, prompt="x", duration=1, resolution="360p", image="data:"))

        assert frames[0].mean(axis=(0, 1))[0] > 140 > 80 > frames[0].mean(axis=(0, 1))[2]
        assert frames[-1].mean(axis=(0, 1))[2] > 100

    def test_is_dropped_when_nobody_wants_it(self) -> None:
        with pytest.raises(Unwanted):
            render(
                read_request("video", "a/b", {"prompt": "x", "resolution": "360p"}),
                index=0,
                references=References(),
                wanted=lambda: False,
            )


class TestReference:
    def test_as_data_uri_or_own_file_is_read(self, running: RunningSandbox, http: httpx.Client) -> None:
        file = http.post("/v1/files", files={"content": ("a.png", flat((1, 2, 3)), "image/png")}).json()
        uri = "data:image/png;base64," + base64.b64encode(flat((1, 2, 3))).decode()

        done = ended(http, path=VIDEO, input={"image": uri, "last_frame_image": file["urls"]["get"], "duration": 2})

        assert done["status"] == "succeeded"

    def test_that_is_gone_fails_the_prediction(self, running: RunningSandbox, http: httpx.Client) -> None:
        done = ended(http, input={"image_input": [f"{running.url}/v1/files/gone"]})

        assert done["status"] == "failed"
        assert "could not read the input file" in done["error"]

    def test_elsewhere_is_never_fetched(self, running: RunningSandbox, http: httpx.Client) -> None:
        made = create(http, input={"image_input": ["http://192.0.2.1/picture.png"]})

        running.wait_until(lambda: running.prediction(made["id"]).ended)

        assert running.prediction(made["id"]).status == "succeeded"


def channel_means(data: bytes) -> Any:
    """Mean red, green, blue."""
    return np.asarray(opened(data).convert("RGB"), np.float32).mean(axis=(0, 1))


def frames_of(data: bytes) -> list[Any]:
    """All frames as arrays."""
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="rgb24").astype(np.float32) for frame in container.decode(video=0)]


class TestSize:
    def test_looks_at_a_width_for_the_custom_size_only(self) -> None:
        asked = {"prompt": "x", "width": 1024, "height": 2048, "aspect_ratio": "match_input_image"}

        assert read_request("image", "a/b", {**asked, "size": "1K"}).size() == (1024, 1024)
        assert read_request("image", "a/b", {**asked, "size": "custom"}).size() == (1024, 2048)
