"""What the calls about the gallery take and answer, as the OpenAPI document has it."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from gallery.models import Asset

TITLE, TAGS, CATEGORY, REFERENCE = 200, 30, 40, 40


class AssetSerializer(serializers.Serializer[Any]):
    """A stored picture or film."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Asset.Kind.values)
    url = serializers.CharField(help_text="Its bytes: a path of this origin that lasts.")
    thumbnailUrl = serializers.CharField(allow_null=True, help_text="null until it is made.")
    width = serializers.IntegerField(min_value=0)
    height = serializers.IntegerField(min_value=0)
    durationSeconds = serializers.FloatField(required=False)
    sizeBytes = serializers.IntegerField(min_value=0)
    contentType = serializers.CharField()
    prompt = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    predictionId = serializers.UUIDField(required=False)
    title = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    category = serializers.CharField(help_text="people, places, props, layouts, styles, one of your own, or empty.")
    favourite = serializers.BooleanField()
    referenceName = serializers.CharField(help_text="The name by which prompts call it, without the @.")
    createdAt = serializers.DateTimeField()


class SearchSerializer(serializers.Serializer[Any]):
    """What is said of `q` where nothing has its words."""

    meantInstead = serializers.CharField(help_text="A `q` of words much like it that finds something.")


class AssetPageSerializer(serializers.Serializer[Any]):
    """The newest first."""

    next = serializers.CharField(allow_null=True, help_text="The address of the next page.")
    previous = serializers.CharField(allow_null=True)
    results = AssetSerializer(many=True)
    search = SearchSerializer(required=False, help_text="Only where nothing was found and something was meant.")


CHANGES: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": TITLE},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 60}, "maxItems": TAGS},
        "category": {"type": "string", "maxLength": CATEGORY},
        "favourite": {"type": "boolean"},
        "referenceName": {"type": "string", "maxLength": REFERENCE + 1},
    },
    "additionalProperties": False,
}
UPLOAD: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream", "description": "A picture."},
        "title": {"type": "string", "maxLength": TITLE},
        "tags": {"type": "string", "maxLength": 2000, "description": "Separated by commas."},
        "category": {"type": "string", "maxLength": CATEGORY},
        "referenceName": {"type": "string", "maxLength": REFERENCE + 1},
    },
    "required": ["file"],
}
CHANGE_EXAMPLE: Final = OpenApiExample(
    "describe", {"title": "The lake", "tags": ["lake", "dusk"], "favourite": True}, request_only=True
)
