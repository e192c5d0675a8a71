"""The models that the studio offers: what each accepts, how its output is read, what it costs.

A model is one `ModelSpec` in the file of its family, named in `MODELS`. Everything else follows from it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from django.conf import settings

from generation.catalog.availability import (
    available,
    mark_available,
    mark_unavailable,
    marked_unavailable,
    unavailable_models,
)
from generation.catalog.base import Field, InvalidInput, ModelSpec, Parsed, PriceRule, UnknownModel
from generation.catalog.flux import FLUX_SCHNELL
from generation.catalog.kling import KLING_2_5_TURBO_PRO
from generation.catalog.nano_banana import NANO_BANANA, NANO_BANANA_PRO
from generation.catalog.output import progress, read_output
from generation.catalog.parsing import parse
from generation.catalog.seedance import SEEDANCE_1_LITE, SEEDANCE_1_PRO_FAST
from generation.catalog.seedream import SEEDREAM_4
from generation.catalog.veo import VEO_3_1_FAST

__all__ = [
    "Field",
    "InvalidInput",
    "ModelSpec",
    "Parsed",
    "PriceRule",
    "UnknownModel",
    "all_models",
    "api_names",
    "available",
    "default",
    "frame_ratio",
    "get",
    "mark_available",
    "mark_unavailable",
    "marked_unavailable",
    "offered",
    "parse",
    "progress",
    "read_output",
    "unavailable_models",
]

MODELS: Final[Mapping[str, ModelSpec]] = {
    spec.id: spec
    for spec in (
        *(NANO_BANANA, FLUX_SCHNELL, SEEDREAM_4, NANO_BANANA_PRO),
        *(SEEDANCE_1_LITE, SEEDANCE_1_PRO_FAST, KLING_2_5_TURBO_PRO, VEO_3_1_FAST),
    )
}


def get(model_id: str) -> ModelSpec:
    """The model of that id; raises `UnknownModel`."""
    try:
        return MODELS[model_id]
    except (KeyError, TypeError):
        raise UnknownModel(model_id) from None


def all_models() -> tuple[ModelSpec, ...]:
    """All of them, in the order in which they are offered."""
    return tuple(MODELS.values())


def default(type: Literal["image", "video"]) -> ModelSpec:
    """The model that is used when none is named."""
    return get(settings.DEFAULT_IMAGE_MODEL if type == "image" else settings.DEFAULT_VIDEO_MODEL)


def frame_ratio(spec: ModelSpec, inputs: Mapping[str, Any]) -> str:
    """The shape to expect, as "16:9"; a square or a wide frame where it follows from a picture of the creator's."""
    for field in spec.fields:
        chosen = inputs.get(field.name)
        if field.kind == "ratio" and isinstance(chosen, str) and ":" in chosen:
            return chosen
    return "1:1" if spec.type == "image" else "16:9"


def api_names(spec: ModelSpec) -> dict[str, str]:
    """Outside name to the provider's own, for every field of the model, in order."""
    special = {
        spec.references: "referenceImages",
        spec.first_frame: "image",
        spec.last_frame: "lastFrameImage",
        "output_format": "format",
    }
    return {special.get(field.name) or _camel(field.name): field.name for field in spec.fields}


def offered(spec: ModelSpec) -> dict[str, str]:
    """The same of the fields that can be asked for."""
    shown = {field.name for field in spec.fields if field.shown}
    return {outside: inside for outside, inside in api_names(spec).items() if inside in shown}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
