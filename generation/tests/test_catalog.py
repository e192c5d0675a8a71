"""From what a form or a program gives to what will be sent, for every model."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from generation import catalog
from generation.catalog import InvalidInput, ModelSpec, Parsed, UnknownModel

BANANA, LITE = "google/nano-banana", "bytedance/seedance-1-lite"
PRO_FAST, FLUX = "bytedance/seedance-1-pro-fast", "black-forest-labs/flux-schnell"
SEEDREAM, KLING, VEO = "bytedance/seedream-4", "kwaivgi/kling-v2.5-turbo-pro", "google/veo-3.1-fast"


def parsed(model: str, **raw: Any) -> Parsed:
    return catalog.parse(catalog.get(model), {"prompt": "a fox", **raw})


def refusal(model: str, **raw: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as caught:
        parsed(model, **raw)
    return caught.value.errors


class TestModels:
    def test_are_found_by_their_id(self) -> None:
        assert catalog.get(LITE).type == "video"

    @pytest.mark.parametrize("model", ["", "x/y", None, [], {}, "GOOGLE/NANO-BANANA"])
    def test_of_another_id_are_unknown(self, model: Any) -> None:
        with pytest.raises(UnknownModel):
            catalog.get(model)

    def test_have_a_default_for_each_type(self) -> None:
        assert (catalog.default("image").id, catalog.default("video").id) == (BANANA, LITE)

    @pytest.mark.parametrize("spec", catalog.all_models(), ids=lambda spec: spec.id)
    def test_fit_together(self, spec: ModelSpec) -> None:
        names = {field.name for field in spec.fields}

        assert len(names) == len(spec.fields)
        assert {spec.references, spec.first_frame, spec.last_frame, spec.count, spec.seconds} - {""} <= names
        assert {field.ignored_with for field in spec.fields} - {""} <= names
        assert not spec.fallback or catalog.get(spec.fallback).type == spec.type
        assert spec.fallback != spec.id
        assert spec.prices
        assert "prompt" in names

    @pytest.mark.parametrize("spec", catalog.all_models(), ids=lambda spec: spec.id)
    def test_read_their_own_defaults_as_they_are(self, spec: ModelSpec) -> None:
        once = catalog.parse(spec, {"prompt": "a fox"}).inputs

        assert catalog.parse(spec, once).inputs == once
        assert catalog.parse(spec, {name: str(value) for name, value in once.items()}).inputs == once


class TestDefaults:
    def test_of_nano_banana(self) -> None:
        assert parsed(BANANA).inputs == {
            "prompt": "a fox",
            "aspect_ratio": "match_input_image",
            "output_format": "jpg",
        }

    def test_of_seedance_lite(self) -> None:
        assert parsed(LITE).inputs == {
            "prompt": "a fox",
            "duration": 5,
            "resolution": "720p",
            "aspect_ratio": "16:9",
            "fps": 24,
            "camera_fixed": False,
        }

    def test_of_seedance_pro_fast_are_dearer(self) -> None:
        assert parsed(PRO_FAST).inputs["resolution"] == "1080p"

    def test_of_flux(self) -> None:
        assert parsed(FLUX).inputs["num_outputs"] == 1
        assert parsed(FLUX).inputs["output_format"] == "webp"

    @pytest.mark.parametrize("nothing", [None, "", "  ", [], ()])
    def test_stand_for_what_is_not_given(self, nothing: Any) -> None:
        given = parsed(
            LITE, duration=nothing, resolution=nothing, seed=nothing, image=nothing, reference_images=nothing
        )

        assert given == parsed(LITE)


class TestForms:
    def test_and_programs_are_read_alike(self) -> None:
        form = parsed(LITE, duration="7", camera_fixed="on", seed="42", resolution="480p", fps="24")

        assert form == parsed(LITE, duration=7, camera_fixed=True, seed=42, resolution="480p", fps=24)

    @pytest.mark.parametrize("word", ["true", "on", "1", "Yes"])
    def test_say_yes(self, word: str) -> None:
        assert parsed(LITE, camera_fixed=word).inputs["camera_fixed"] is True

    @pytest.mark.parametrize("word", ["false", "off", "0", "No"])
    def test_say_no(self, word: str) -> None:
        assert parsed(FLUX, go_fast=word).inputs["go_fast"] is False

    def test_send_lines_that_end_otherwise(self) -> None:
        assert parsed(BANANA, prompt=" a fox\r\nin snow ").inputs["prompt"] == "a fox\nin snow"

    def test_may_name_one_reference_without_a_list(self) -> None:
        assert parsed(BANANA, image_input="a").inputs["image_input"] == ["a"]


class TestPrompt:
    @pytest.mark.parametrize("prompt", ["", "   ", "\n", None])
    def test_is_required(self, prompt: Any) -> None:
        assert refusal(BANANA, prompt=prompt) == {"prompt": ["Prompt is required."]}

    def test_may_be_10_000_characters(self) -> None:
        assert len(parsed(BANANA, prompt="é" * 10_000).inputs["prompt"]) == 10_000

    def test_of_100_000_characters_is_refused(self) -> None:
        assert refusal(BANANA, prompt="x" * 100_000) == {
            "prompt": ["Prompt is 100,000 characters long; at most 10,000 are accepted."]
        }

    @pytest.mark.parametrize("prompt", [7, True, ["a"], {"a": 1}, 1.5])
    def test_is_text(self, prompt: Any) -> None:
        assert refusal(BANANA, prompt=prompt) == {"prompt": ["Prompt must be text."]}

    @pytest.mark.parametrize("prompt", ["a\x00fox", "a \ud83d fox"])
    def test_with_what_cannot_be_stored_is_refused(self, prompt: str) -> None:
        assert refusal(BANANA, prompt=prompt) == {"prompt": ["Prompt contains a character that cannot be stored."]}

    def test_keeps_pictures_in_text(self) -> None:
        assert parsed(BANANA, prompt="🦊").inputs["prompt"] == "🦊"


class TestWrongValues:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (7.5, "7.5"),
            ("7.5", "7.5"),
            ("abc", "abc"),
            (500, "500"),
            (1, "1"),
            (-5, "-5"),
            (float("nan"), "nan"),
            (float("inf"), "inf"),
            (True, "true"),
            pytest.param(10**5000, "a number of this size", id="huge"),
            pytest.param("9" * 5000, "9" * 39 + "…", id="long"),
            ("٥", "٥"),
            ({"a": 1}, "what was given"),
            ([5], "what was given"),
        ],
    )
    def test_of_a_duration_name_what_is_accepted(self, value: Any, shown: str) -> None:
        sentence = f"Duration must be a whole number from 2 to 12 seconds; {shown} is not accepted."

        assert refusal(LITE, duration=value) == {"duration": [sentence]}

    @pytest.mark.parametrize("value", [2, 12, 5.0, "12"])
    def test_are_none_between_2_and_12_seconds(self, value: Any) -> None:
        assert parsed(LITE, duration=value).inputs["duration"] == int(value)

    def test_of_a_resolution_name_what_is_accepted(self) -> None:
        sentence = "Resolution must be one of 480p, 720p or 1080p; 4K is not accepted."

        assert refusal(LITE, resolution="4K") == {"resolution": [sentence]}

    def test_of_a_format_name_what_is_accepted(self) -> None:
        assert refusal(BANANA, output_format="gif") == {
            "output_format": ["Format must be one of jpg or png; gif is not accepted."]
        }

    def test_of_the_frame_rate_name_the_only_one(self) -> None:
        assert refusal(LITE, fps=30) == {"fps": ["Frames a second must be 24; 30 is not accepted."]}

    @pytest.mark.parametrize("value", [2, "maybe", 0.0, []])
    def test_of_a_yes_or_no(self, value: Any) -> None:
        if value == []:
            assert parsed(LITE, camera_fixed=value).inputs["camera_fixed"] is False
        else:
            assert "must be true or false" in refusal(LITE, camera_fixed=value)["camera_fixed"][0]

    @pytest.mark.parametrize("value", [-1, 2**32, "x", 1.5])
    def test_of_a_seed(self, value: Any) -> None:
        assert "from 0 to 4294967295" in refusal(LITE, seed=value)["seed"][0]

    def test_are_all_named_at_once(self) -> None:
        assert refusal(LITE, prompt="", duration=0, resolution="8K", zoom=1).keys() == {
            "prompt",
            "duration",
            "resolution",
            "zoom",
        }


class TestUnknownFields:
    def test_are_refused_by_name(self) -> None:
        assert refusal(BANANA, seed=1) == {"seed": ["Nano Banana has no option of this name."]}

    def test_keep_the_safety_checker_on(self) -> None:
        assert "disable_safety_checker" in refusal(FLUX, disable_safety_checker=True)

    def test_of_thousands_are_not_all_repeated(self) -> None:
        assert len(refusal(BANANA, **{f"x{n}": 1 for n in range(5000)})) == 20

    def test_may_have_names_that_cannot_be_stored(self) -> None:
        assert list(refusal(BANANA, **{"a\x00\ud800" + "b" * 200: 1})) == ["a��" + "b" * 77]


class TestReferences:
    def test_of_nano_banana_go_in_as_image_input(self) -> None:
        assert parsed(BANANA, image_input=["a", " ", "b"]).inputs["image_input"] == ["a", "b"]

    def test_of_nano_banana_are_at_most_ten(self) -> None:
        assert refusal(BANANA, image_input=["a"] * 11) == {
            "image_input": ["At most 10 reference images are accepted; 11 were given."]
        }

    @pytest.mark.parametrize("value", [[1], [None], {"a": "b"}, 7, True, [["a"]]])
    def test_are_a_list_of_images(self, value: Any) -> None:
        assert refusal(BANANA, image_input=value) == {"image_input": ["Reference images must be a list of images."]}

    @pytest.mark.parametrize("value", [["a"], 7, {}])
    def test_are_one_where_one_is_asked_for(self, value: Any) -> None:
        assert refusal(LITE, image=value) == {"image": ["First frame must be one image."]}

    def test_without_nul(self) -> None:
        assert "cannot be stored" in refusal(BANANA, image_input=["a\x00"])["image_input"][0]

    @pytest.mark.parametrize(
        ("beside", "words"),
        [
            ({"resolution": "1080p"}, "1080p"),
            ({"image": "f"}, "a first frame"),
            ({"image": "f", "last_frame_image": "l"}, "a first frame or a last frame"),
        ],
    )
    def test_of_seedance_exclude(self, beside: dict[str, str], words: str) -> None:
        assert refusal(LITE, reference_images=["a"], **beside) == {
            "reference_images": [f"Reference images cannot be combined with {words}."]
        }

    def test_of_seedance_are_at_most_four(self) -> None:
        assert parsed(LITE, reference_images=list("abcd")).inputs["reference_images"] == list("abcd")
        assert "At most 4" in refusal(LITE, reference_images=list("abcde"))["reference_images"][0]


class TestFrames:
    def test_may_be_first_and_last(self) -> None:
        inputs = parsed(LITE, image="f", last_frame_image="l").inputs

        assert (inputs["image"], inputs["last_frame_image"]) == ("f", "l")

    def test_cannot_be_only_the_last(self) -> None:
        assert refusal(LITE, last_frame_image="l") == {
            "last_frame_image": ["A last frame needs a first frame as well."]
        }

    def test_have_no_last_one_in_pro_fast(self) -> None:
        assert refusal(PRO_FAST, image="f", last_frame_image="l").keys() == {"last_frame_image"}

    def test_leave_the_aspect_ratio_out_and_say_so(self) -> None:
        found = parsed(LITE, image="f", aspect_ratio="1:1")

        assert "aspect_ratio" not in found.inputs
        assert found.warnings == ["Aspect ratio is ignored: Seedance 1 Lite takes it from the first frame."]

    def test_warn_of_nothing_that_was_not_asked_for(self) -> None:
        assert parsed(LITE, image="f").warnings == []
        assert parsed(LITE, aspect_ratio="1:1").warnings == []

    def test_do_not_excuse_a_wrong_aspect_ratio(self) -> None:
        assert refusal(LITE, image="f", aspect_ratio="2:1").keys() == {"aspect_ratio"}


class TestOtherHouses:
    @pytest.mark.parametrize(
        ("model", "last", "first"), [(KLING, "end_image", "start_image"), (VEO, "last_frame", "image")]
    )
    def test_end_a_film_with_a_picture_only_where_it_begins_with_one(self, model: str, last: str, first: str) -> None:
        assert refusal(model, **{last: "a"}) == {last: ["A last frame needs a first frame as well."]}
        assert parsed(model, **{first: "a", last: "b"}).inputs[last] == "b"

    def test_take_the_shape_of_a_first_frame(self) -> None:
        found = parsed(KLING, start_image="a", aspect_ratio="9:16")

        assert "aspect_ratio" not in found.inputs and found.warnings

    def test_run_as_long_as_they_say(self) -> None:
        assert parsed(VEO, duration="6").inputs["duration"] == 6
        assert "duration" in refusal(VEO, duration=5)

    def test_look_at_a_width_for_the_custom_size_only(self) -> None:
        assert parsed(SEEDREAM, width=1024).warnings
        assert not parsed(SEEDREAM, width=1024, size="custom").warnings
        assert not parsed(SEEDREAM).warnings


class TestFrameRatio:
    @pytest.mark.parametrize(
        ("model", "raw", "shape"),
        [
            (BANANA, {"aspect_ratio": "21:9"}, "21:9"),
            (BANANA, {}, "1:1"),
            (LITE, {}, "16:9"),
            (LITE, {"aspect_ratio": "9:16"}, "9:16"),
            (LITE, {"image": "f", "aspect_ratio": "9:16"}, "16:9"),
        ],
    )
    def test_is_the_shape_to_expect(self, model: str, raw: dict[str, str], shape: str) -> None:
        assert catalog.frame_ratio(catalog.get(model), parsed(model, **raw).inputs) == shape


class TestApiNames:
    def test_are_the_contracts_words(self) -> None:
        assert catalog.api_names(catalog.get(LITE)) == {
            "prompt": "prompt",
            "image": "image",
            "lastFrameImage": "last_frame_image",
            "referenceImages": "reference_images",
            "duration": "duration",
            "resolution": "resolution",
            "aspectRatio": "aspect_ratio",
            "fps": "fps",
            "cameraFixed": "camera_fixed",
            "seed": "seed",
        }
        assert catalog.api_names(catalog.get(BANANA)) == {
            "prompt": "prompt",
            "referenceImages": "image_input",
            "aspectRatio": "aspect_ratio",
            "format": "output_format",
        }

    @pytest.mark.parametrize("spec", catalog.all_models(), ids=lambda spec: spec.id)
    def test_lose_no_field(self, spec: ModelSpec) -> None:
        assert list(catalog.api_names(spec).values()) == [field.name for field in spec.fields]


class TestDefaultModels:
    def complaints(self) -> Iterator[str]:
        return (str(found.msg) for found in run_checks() if str(found.id).startswith("generation."))

    def test_of_the_catalog_pass_the_checks(self) -> None:
        assert list(self.complaints()) == []

    def test_of_another_house_are_named_with_what_is_accepted(self, settings: Settings) -> None:
        settings.DEFAULT_VIDEO_MODEL = "x/y"

        assert list(self.complaints()) == [
            "DEFAULT_VIDEO_MODEL is 'x/y', but bytedance/seedance-1-lite, bytedance/seedance-1-pro-fast, "
            "kwaivgi/kling-v2.5-turbo-pro or google/veo-3.1-fast is accepted."
        ]

    def test_of_the_other_kind_are_refused(self, settings: Settings) -> None:
        settings.DEFAULT_IMAGE_MODEL = LITE

        assert len(list(self.complaints())) == 1


WORDS = st.one_of(
    st.text(st.characters(codec=None, exclude_categories=[]), max_size=20),
    st.sampled_from(["a", "16:9", "720p", "1080p", "png", "on", "5", "7.5", "\x00", "\ud800", "-0", "1e3", "٣"]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(4000, 5000).map(lambda digits: 10**digits),
        st.floats(),
        WORDS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
NAMES = sorted({field.name for spec in catalog.all_models() for field in spec.fields})


class TestParse:
    @given(
        spec=st.sampled_from(catalog.all_models()),
        raw=st.dictionaries(st.one_of(st.sampled_from(NAMES), WORDS), VALUES, max_size=8),
    )
    def test_answers_inputs_or_sentences_and_nothing_else(self, spec: ModelSpec, raw: dict[str, Any]) -> None:
        try:
            found = catalog.parse(spec, raw)
        except InvalidInput as refused:
            assert refused.errors
            texts = [*refused.errors, *(text for sentences in refused.errors.values() for text in sentences)]
        else:
            assert catalog.parse(spec, found.inputs).inputs == found.inputs
            assert all(spec.field(name) for name in found.inputs)
            texts = [str(value) for value in found.inputs.values()]
        for text in texts:
            assert "\x00" not in text
            text.encode()
