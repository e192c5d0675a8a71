"""What the calls about predictions take and answer, as the OpenAPI document has it."""

from collections.abc import Iterable
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from gallery.api.shapes import AssetSerializer
from generation import catalog
from generation.api.offer import described, offered_fields
from generation.catalog.base import ModelSpec
from generation.models import Prediction
from generation.states import OUTSIDE

WORDS: Final = sorted(set(OUTSIDE.values()))
STAGES: Final = ["queued", "confirming", "starting", "processing", "storing"]
ENDS: Final = ["succeeded", "lost", "failed", "canceled", "aborted"]
ID: Final = "0198c0de-5f1a-7c3e-9d42-6f1b2a3c4d5e"


class AcceptedSerializer(serializers.Serializer[Any]):
    """A generation that was let in."""

    predictionId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=WORDS)
    estimatedCost = serializers.CharField(help_text="USD")
    warnings = serializers.ListField(child=serializers.CharField())


class RemainingSerializer(serializers.Serializer[Any]):
    """USD that may still be spent; null where no limit binds."""

    day = serializers.CharField(allow_null=True)
    month = serializers.CharField(allow_null=True)


class EstimateSerializer(serializers.Serializer[Any]):
    """What a generation would cost, and whether it would be let in."""

    model = serializers.CharField()
    estimatedCost = serializers.CharField(help_text="USD")
    upTo = serializers.BooleanField(help_text="It may cost less.")
    quote = serializers.CharField(help_text="Given with a generation within the hour, it holds these prices.")
    quoteExpiresAt = serializers.DateTimeField()
    remaining = RemainingSerializer()
    allowed = serializers.BooleanField()
    warnings = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(required=False, help_text="Why it would not be let in.")


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
class OutputField(serializers.Field[Any, Any, Any, Any]):
    """One address or several."""


class MetricsSerializer(serializers.Serializer[Any]):
    """The provider's own figures."""

    predict_time = serializers.FloatField(help_text="Seconds.")


class QueueSerializer(serializers.Serializer[Any]):
    """Where one stands that waits for a slot, and when it will go if nobody comes or leaves."""

    position = serializers.IntegerField(allow_null=True, help_text="From 1; null while it is held, or far behind.")
    waiting = serializers.IntegerField(help_text="How many wait in all.")
    startsInSeconds = serializers.IntegerField(allow_null=True, help_text="Null where nobody can say.")
    reason = serializers.CharField(allow_null=True, help_text="What has to be over first, other than others' turns.")


class PredictionSerializer(serializers.Serializer[Any]):
    """One generation, from the request to its end."""

    id = serializers.UUIDField()
    type = serializers.ChoiceField(choices=Prediction.Type.values)
    model = serializers.CharField()
    prompt = serializers.CharField()
    input = serializers.DictField(help_text="What was asked for, ready to be sent again.")
    status = serializers.ChoiceField(choices=WORDS)
    stage = serializers.ChoiceField(choices=[*STAGES, *ENDS], help_text="Finer than `status`.")
    cancelRequested = serializers.BooleanField()
    warnings = serializers.ListField(child=serializers.CharField())
    estimatedCost = serializers.CharField(help_text="USD")
    cost = serializers.CharField(allow_null=True, help_text="USD; null until the money has moved.")
    simulated = serializers.BooleanField(help_text="Made by the bundled sandbox: no real money.")
    retryOf = serializers.UUIDField(allow_null=True)
    createdAt = serializers.DateTimeField()
    completedAt = serializers.DateTimeField(allow_null=True)
    assets = AssetSerializer(many=True)
    queue = QueueSerializer(required=False, help_text="Present while it waits for a slot.")
    output = OutputField(required=False, help_text="Present exactly when `status` is `succeeded`.")
    error = serializers.CharField(required=False)
    errorCode = serializers.CharField(required=False)
    metrics = MetricsSerializer(required=False)


class PredictionPageSerializer(serializers.Serializer[Any]):
    """The newest first."""

    next = serializers.CharField(allow_null=True, help_text="The address of the next page.")
    previous = serializers.CharField(allow_null=True)
    results = PredictionSerializer(many=True)


class PriceSerializer(serializers.Serializer[Any]):
    """USD for each unit, where the inputs are among those of `conditions`."""

    unit = serializers.ChoiceField(choices=["image", "second", "video"])
    usd = serializers.CharField()
    conditions = serializers.DictField()


class ModelSerializer(serializers.Serializer[Any]):
    """One model that can be asked for."""

    id = serializers.CharField()
    type = serializers.ChoiceField(choices=Prediction.Type.values)
    title = serializers.CharField()
    goodAt = serializers.CharField()
    default = serializers.BooleanField(help_text="It is taken where none is named.")
    available = serializers.BooleanField()
    usualSeconds = serializers.FloatField()
    input = serializers.DictField(help_text="JSON Schema of the body that asks for it.")
    prices = PriceSerializer(many=True)


class ModelsSerializer(serializers.Serializer[Any]):
    """All of them, in the order in which they are offered."""

    results = ModelSerializer(many=True)


IMAGE_EXAMPLE: Final = OpenApiExample(
    "a picture",
    {"prompt": "a lake at dusk, 35 mm", "model": "google/nano-banana", "aspectRatio": "16:9", "format": "png"},
    request_only=True,
)
VIDEO_EXAMPLE: Final = OpenApiExample(
    "a film",
    {"prompt": "waves roll in", "model": "bytedance/seedance-1-lite", "duration": 5, "resolution": "720p"},
    request_only=True,
)
ACCEPTED_EXAMPLE: Final = OpenApiExample(
    "let in",
    {"predictionId": ID, "status": "starting", "estimatedCost": "0.039", "warnings": []},
    response_only=True,
    status_codes=["201"],
)


def request_schemas() -> dict[str, Any]:
    """The bodies that ask for a generation, as components: what any of the models takes."""
    specs = catalog.all_models()
    images, videos = ([spec for spec in specs if spec.type == made] for made in ("image", "video"))
    return {
        "ImageRequest": request_schema(images, "What to make a picture from."),
        "VideoRequest": request_schema(videos, "What to make a film from."),
        "GenerationRequest": request_schema([*images, *videos], "A picture or a film, as its model says."),
    }


def request_schema(specs: list[ModelSpec], description: str) -> dict[str, Any]:
    """What at least one of the models takes; the exact schema of each is in `GET /api/models`."""
    takers: dict[str, list[tuple[ModelSpec, dict[str, Any]]]] = {}
    for spec in specs:
        for name, field in offered_fields(spec).items():
            takers.setdefault(name, []).append((spec, described(field)))
    properties = {name: optional(widest([shape for _, shape in found])) for name, found in takers.items()}
    for name, found in takers.items():
        if len(found) < len(specs):
            properties[name]["description"] = f"Taken by {', '.join(spec.id for spec, _ in found)}."
    properties["prompt"] = {"type": "string", "minLength": 1, "description": "In words."}
    properties["model"] = optional({"type": "string", "enum": [spec.id for spec in specs]})
    properties["quote"] = {"type": ["string", "null"], "description": "Of an estimate: its prices hold for an hour."}
    return {
        "type": "object",
        "description": f"{description} `GET /api/models` has the exact schema for each model.",
        "properties": properties,
        "required": ["prompt"],
        "additionalProperties": False,
    }


def widest(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    """What fits at least one of the shapes, which are all of one type; defaults differ and are left out."""
    first = shapes[0]
    merged: dict[str, Any] = {name: first[name] for name in ("type", "title", "items") if name in first}
    if all("enum" in shape for shape in shapes):
        merged["enum"] = unique(value for shape in shapes for value in shape["enum"])
        return merged
    for name, choose in {"minimum": min, "minItems": min, "maximum": max, "maxLength": max, "maxItems": max}.items():
        bounds = [bound(shape, name, choose) for shape in shapes]
        if all(each is not None for each in bounds):
            merged[name] = choose(bounds)
    return merged


def bound(shape: dict[str, Any], name: str, choose: Any) -> Any:
    """A shape's bound of this name; that of whole numbers that are listed is the outermost."""
    if "enum" in shape and shape["type"] == "integer":
        return choose(shape["enum"])
    return shape.get(name)


def optional(shape: dict[str, Any]) -> dict[str, Any]:
    """The same, or null for what is left out."""
    nullable = shape | {"type": [shape["type"], "null"]}
    return nullable | {"enum": [*shape["enum"], None]} if "enum" in shape else nullable


def unique(values: Iterable[Any]) -> list[Any]:
    """Each once, in the order of their first."""
    return list(dict.fromkeys(values))
