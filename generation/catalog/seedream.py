"""ByteDance's Seedream 4: large pictures from words and references (https://replicate.com/bytedance/seedream-4)."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from generation.catalog.base import Field, ModelSpec, PriceRule

CUSTOM = "custom"


def rules(inputs: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """Width and height are looked at for the custom size alone, and the shape for every other."""
    told = []
    if inputs.get("size") != CUSTOM and any(inputs.get(side) not in (None, 2048) for side in ("width", "height")):
        told.append(gettext("Width and height are ignored: they count for the custom size only."))
    return {}, told


# Answers a list. A set of related pictures (`sequential_image_generation`) is left at one: several runs of one prompt
# are asked for side by side, and each is billed by itself.
SEEDREAM_4 = ModelSpec(
    id="bytedance/seedream-4",
    type="image",
    title="Seedream 4",
    good_at=_("Large, detailed pictures up to 4K, and edits that combine several references."),
    fields=(
        Field(name="prompt", kind="text", label=_("Prompt"), required=True, most=10_000),
        Field(
            name="image_input",
            kind="files",
            label=_("Reference images"),
            help=_("Pictures to keep to or to change."),
            most=10,
        ),
        Field(name="size", kind="choice", label=_("Size"), default="2K", choices=("1K", "2K", "4K", CUSTOM)),
        Field(
            name="aspect_ratio",
            kind="ratio",
            label=_("Aspect ratio"),
            help=_("match_input_image takes the shape of the reference image; the custom size has its own."),
            default="match_input_image",
            choices=("match_input_image", "1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"),
        ),
        Field(
            name="width",
            kind="integer",
            label=_("Width"),
            help=_("For the custom size."),
            default=2048,
            least=1024,
            most=4096,
            unit="pixels",
        ),
        Field(
            name="height",
            kind="integer",
            label=_("Height"),
            help=_("For the custom size."),
            default=2048,
            least=1024,
            most=4096,
            unit="pixels",
        ),
        Field(
            name="enhance_prompt",
            kind="boolean",
            label=_("Let the model refine the prompt"),
            help=_("Better pictures, a little slower."),
            default=True,
        ),
        Field(
            name="sequential_image_generation",
            kind="choice",
            label=_("Set of pictures"),
            default="disabled",
            choices=("disabled", "auto"),
            shown=False,
        ),
        Field(
            name="max_images", kind="integer", label=_("Pictures in a set"), default=1, least=1, most=15, shown=False
        ),
    ),
    prices=(
        PriceRule(unit="image", usd="0.03", effective_from="2025-11-01", source="Replicate's model page, read 2025-11"),
    ),
    usual_seconds=14.4,
    references="image_input",
    fallback="google/nano-banana",
    rules=rules,
)
