"""Google's Nano Banana: pictures from words and other pictures (https://replicate.com/google/nano-banana)."""

from generation.catalog.base import Field, ModelSpec, PriceRule

# Gemini 2.5 Flash Image: no seed, no size, no count; one picture a run. The published schema names no maximum for
# `image_input`; ten is ours.
NANO_BANANA = ModelSpec(
    id="google/nano-banana",
    type="image",
    title="Nano Banana",
    good_at="Keeps a face, a place or a prop the same from picture to picture, and edits by words.",
    fields=(
        Field(name="prompt", kind="text", label="Prompt", required=True, most=10_000),
        Field(
            name="image_input",
            kind="files",
            label="Reference images",
            help="Pictures to keep to or to change.",
            most=10,
        ),
        Field(
            name="aspect_ratio",
            kind="ratio",
            label="Aspect ratio",
            help="match_input_image takes the shape of the reference image.",
            default="match_input_image",
            choices=(
                *("match_input_image", "1:1", "2:3", "3:2", "3:4", "4:3"),
                *("4:5", "5:4", "9:16", "16:9", "21:9"),
            ),
        ),
        Field(name="output_format", kind="choice", label="Format", default="jpg", choices=("jpg", "png")),
    ),
    prices=(
        PriceRule(
            unit="image", usd="0.039", effective_from="2025-11-01", source="Replicate's model page, read 2026-09-13"
        ),
    ),
    usual_seconds=10.5,
    references="image_input",
    fallback="black-forest-labs/flux-schnell",
)
