"""The OpenAPI document: what the views say of themselves, put together, and the addresses that are no API views."""

import json
from functools import cache
from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator

from accounts.api import openapi
from generation.api.shapes import request_schemas
from generation.models.outgoing import EVENTS

Document = dict[str, Any]
# What describes others is not described itself; the provider's webhook is no call for clients.
UNDESCRIBED: Final = ("/api/schema", "/api/docs")
BYTES: Final = {"*/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}
PAGE: Final[Document] = {"content": {"text/html": {}}}
FILE: Final = {
    "operationId": "downloadAsset",
    "summary": "The stored bytes",
    "description": "By token, session or share link. The bytes come with ranges; where files lie in an S3 store the "
    "answer is a redirect to a fresh address there. Errors are pages, for people come here too.",
    "parameters": [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        {"name": "download", "in": "query", "description": "1: under a good name.", "schema": {"type": "string"}},
    ],
    "tags": ["Gallery"],
    "security": [{"bearer": ["read"]}, {"session": []}, {}],
    "responses": {
        "200": {"description": "The file.", "content": BYTES},
        "206": {"description": "A part of it.", "content": BYTES},
        "302": {
            "description": "Where it lies just now.",
            "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
        },
        "304": {"description": "It is the one that you have."},
        "400": {"description": "The address holds a NUL.", **PAGE},
        "404": {"description": "There is no such asset, or it is somebody else's.", **PAGE},
        "416": {"description": "It has no such part."},
        "503": {"description": "The store does not answer.", **PAGE},
    },
}


def described_paths(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Each address as the contract writes it; a slash at its end is answered too, and not told of."""
    paths = [(path.rstrip("/"), regex, method, view) for path, regex, method, view in endpoints]
    return [endpoint for endpoint in paths if endpoint[0] not in UNDESCRIBED]


def completed(result: Document, **options: Any) -> Document:
    """The document with the refusals, the bodies that follow from the catalog, and the files."""
    components = result["components"]
    components["schemas"] = dict(sorted((components["schemas"] | request_schemas()).items()))
    components["responses"] = openapi.refusals()
    result["paths"]["/assets/{id}/file"] = {"get": FILE}
    result["webhooks"] = {event: {"post": told(event)} for event in EVENTS}
    return result


def told(event: str) -> Document:
    """What a webhook of a user's is sent when a prediction ends so."""
    return {
        "operationId": event.replace(".", "_"),
        "summary": f"A prediction has ended: {event}",
        "description": "Signed by the Standard Webhooks scheme; sent again for a day until it is answered with 2xx.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ],
        "requestBody": {
            "required": True,
            "content": {
                openapi.JSON: {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "type": {"const": event},
                            "timestamp": {"type": "string", "format": "date-time"},
                            "data": {"$ref": "#/components/schemas/Prediction"},
                        },
                        "required": ["type", "timestamp", "data"],
                    }
                }
            },
        },
        "responses": {"2XX": {"description": "It has arrived."}, "410": {"description": "Nobody is there any more."}},
    }


@cache
def document() -> Document:
    """The whole, as plain JSON values; made once a process, since it follows from the code alone."""
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    plain: Document = json.loads(json.dumps(made, default=str))
    return plain
