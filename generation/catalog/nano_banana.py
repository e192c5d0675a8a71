"""Google's Nano Banana: pictures from words and other pictures (https://replicate.com/google/nano-banana)."""

from django.utils.translation import gettext_noop as _

from generation.catalog.base import Field, ModelSpec, PriceRule

PROMPT = Field(name="prompt", kind="text", label=_("Prompt"), required=True, most=10_000)
ASPECT_RATIO = Field(
    name="aspect_ratio",
    kind="ratio",
    label=_("Aspect ratio"),
    help=_("match_input_image takes the shape of the reference image."),
    default="match_input_image",
    choices=(
        *("match_input_image", "1:1", "2:3", "3:2", "3:4", "4:3"),
        *("4:5", "5:4", "9:16", "16:9", "21:9"),
    ),
)
OUTPUT_FORMAT = Field(name="output_format", kind="choice", label=_("Format"), default="jpg", choices=("jpg", "png"))


def image_input(most: int) -> Field:
    """References, as many as the model takes."""
    return Field(
        name="image_input",
        kind="files",
        label=_("Reference images"),
        help=_("Pictures to keep to or to change."),
        most=most,
    )


# Gemini 2.5 Flash Image: no seed, no size, no count; one picture a run. The published schema names no maximum for
# `image_input`; ten is ours.
NANO_BANANA = ModelSpec(
    id="google/nano-banana",
    type="image",
    title="Nano Banana",
    good_at=_("Keeps a face, a place or a prop the same from picture to picture, and edits by words."),
    fields=(PROMPT, image_input(10), ASPECT_RATIO, OUTPUT_FORMAT),
    prices=(
        PriceRule(
            unit="image", usd="0.039", effective_from="2025-11-01", source="Replicate's model page, read 2026-09-13"
        ),
    ),
    usual_seconds=10.5,
    references="image_input",
    fallback="black-forest-labs/flux-schnell",
)

# Gemini 3 Pro Image. `safety_filter_level` keeps its default: all creators share one account. `allow_fallback_model`
# stays off: nothing is made with another model than the one that was asked for. No median of its run time is
# published: the figure is a cautious guess.
NANO_BANANA_PRO = ModelSpec(
    id="google/nano-banana-pro",
    type="image",
    title="Nano Banana Pro",
    good_at=_("Legible words in pictures, diagrams, and scenes from up to fourteen references, up to 4K."),
    fields=(
        PROMPT,
        image_input(14),
        ASPECT_RATIO,
        Field(name="resolution", kind="choice", label=_("Resolution"), default="2K", choices=("1K", "2K", "4K")),
        OUTPUT_FORMAT,
    ),
    prices=(
        PriceRule(
            unit="image",
            usd="0.15",
            conditions={"resolution": ("1K", "2K")},
            effective_from="2025-11-01",
            source="Replicate's model page, read 2026-10-06",
        ),
        PriceRule(
            unit="image",
            usd="0.30",
            conditions={"resolution": "4K"},
            effective_from="2025-11-01",
            source="Replicate's model page, read 2026-10-06",
        ),
    ),
    usual_seconds=35,
    references="image_input",
    fallback="google/nano-banana",
)
