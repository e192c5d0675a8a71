"""ByteDance's Seedance 1.0: short films (https://replicate.com/bytedance/seedance-1-lite and …/seedance-1-pro-fast)."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from generation.catalog.base import Field, ModelSpec, PriceRule, last_needs_first

PROMPT = Field(name="prompt", kind="text", label=_("Prompt"), required=True, most=10_000)
FIRST_FRAME = Field(name="image", kind="file", label=_("First frame"), help=_("The film begins with this picture."))
DURATION = Field(name="duration", kind="integer", label=_("Duration"), default=5, least=2, most=12, unit="seconds")
ASPECT_RATIO = Field(
    name="aspect_ratio",
    kind="ratio",
    label=_("Aspect ratio"),
    help=_("With a first frame the film takes that picture's shape."),
    default="16:9",
    choices=("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "9:21"),
    ignored_with="image",
)
# The schema accepts one value only.
FPS = Field(name="fps", kind="choice", label=_("Frames a second"), default=24, choices=(24,), shown=False)
CAMERA_FIXED = Field(name="camera_fixed", kind="boolean", label=_("Hold the camera still"), default=False)
SEED = Field(name="seed", kind="seed", label=_("Seed"), help=_("The same seed and settings give a similar film."))


def resolution(default: str) -> Field:
    """The size, which sets the price."""
    return Field(
        name="resolution", kind="choice", label=_("Resolution"), default=default, choices=("480p", "720p", "1080p")
    )


def prices(*usd: str, source: str) -> tuple[PriceRule, ...]:
    """USD a second at 480p, 720p and 1080p."""
    return tuple(
        PriceRule(unit="second", usd=rate, conditions={"resolution": size}, effective_from="2025-11-01", source=source)
        for size, rate in zip(("480p", "720p", "1080p"), usd, strict=True)
    )


def lite_rules(inputs: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """What the lite model does not take together, as its schema's descriptions say."""
    errors, warnings = last_needs_first(first="image", last="last_frame_image")(inputs)
    if inputs.get("reference_images"):
        against = [
            *(["1080p"] if inputs.get("resolution") == "1080p" else []),
            *([gettext("a first frame")] if inputs.get("image") else []),
            *([gettext("a last frame")] if inputs.get("last_frame_image") else []),
        ]
        if against:
            sentence = gettext("Reference images cannot be combined with %(against)s.")
            errors["reference_images"] = [sentence % {"against": gettext(" or ").join(against)}]
    return errors, warnings


# Other houses have retired the 1.0 family's lite model; a run at Replicate succeeded on 2026-08-23. Hence a fallback.
SEEDANCE_1_LITE = ModelSpec(
    id="bytedance/seedance-1-lite",
    type="video",
    title="Seedance 1 Lite",
    good_at=_("Films of 2 to 12 seconds from words, a first and a last frame, or reference images."),
    fields=(
        PROMPT,
        FIRST_FRAME,
        Field(
            name="last_frame_image",
            kind="file",
            label=_("Last frame"),
            help=_("The film ends with this picture; needs a first frame."),
        ),
        Field(
            name="reference_images",
            kind="files",
            label=_("Reference images"),
            help=_("1 to 4 pictures of who or what appears; not with 1080p, a first or a last frame."),
            least=1,
            most=4,
        ),
        DURATION,
        resolution("720p"),
        ASPECT_RATIO,
        FPS,
        CAMERA_FIXED,
        SEED,
    ),
    prices=prices("0.018", "0.036", "0.072", source="Replicate's model page, read 2026-08"),
    usual_seconds=38.1,
    references="reference_images",
    first_frame="image",
    last_frame="last_frame_image",
    seconds="duration",
    fallback="bytedance/seedance-1-pro-fast",
    rules=lite_rules,
)

SEEDANCE_1_PRO_FAST = ModelSpec(
    id="bytedance/seedance-1-pro-fast",
    type="video",
    title="Seedance 1 Pro Fast",
    good_at=_("Sharper films of 2 to 12 seconds from words or a first frame, for less."),
    fields=(PROMPT, FIRST_FRAME, DURATION, resolution("1080p"), ASPECT_RATIO, FPS, CAMERA_FIXED, SEED),
    prices=prices("0.015", "0.025", "0.06", source="Replicate's model page, read 2025-11"),
    usual_seconds=47,
    first_frame="image",
    seconds="duration",
    fallback="bytedance/seedance-1-lite",
)
