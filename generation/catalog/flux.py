"""Black Forest Labs' FLUX schnell: quick sketches (https://replicate.com/black-forest-labs/flux-schnell)."""

from django.utils.translation import gettext_noop as _

from generation.catalog.base import Field, ModelSpec, PriceRule

# Text to image only; its output is a list. `disable_safety_checker` exists there and is left out here: all creators
# share one account, and nobody turns its checks off.
FLUX_SCHNELL = ModelSpec(
    id="black-forest-labs/flux-schnell",
    type="image",
    title="FLUX schnell",
    good_at=_("Sketches in seconds, up to four at a time, for a third of a cent each."),
    fields=(
        Field(name="prompt", kind="text", label=_("Prompt"), required=True, most=10_000),
        Field(
            name="aspect_ratio",
            kind="ratio",
            label=_("Aspect ratio"),
            default="1:1",
            choices=("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"),
        ),
        Field(name="num_outputs", kind="integer", label=_("Images"), default=1, least=1, most=4, unit="images"),
        Field(name="output_format", kind="choice", label=_("Format"), default="webp", choices=("webp", "jpg", "png")),
        Field(name="megapixels", kind="choice", label=_("Megapixels"), default="1", choices=("1", "0.25")),
        Field(name="seed", kind="seed", label=_("Seed"), help=_("The same seed and prompt give the same picture.")),
        Field(name="num_inference_steps", kind="integer", label=_("Steps"), default=4, least=1, most=4, shown=False),
        Field(name="output_quality", kind="integer", label=_("Quality"), default=80, least=0, most=100, shown=False),
        Field(name="go_fast", kind="boolean", label=_("Fast path"), default=True, shown=False),
    ),
    prices=(
        PriceRule(
            unit="image", usd="0.003", effective_from="2025-11-01", source="Replicate's model page, read 2026-09-13"
        ),
    ),
    usual_seconds=2.0,
    count="num_outputs",
    fallback="google/nano-banana",
)
