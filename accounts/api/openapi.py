"""How the API describes itself: a decorator for views, the schema class behind it, and every refusal there is.

`palette.openapi` puts the document together. What follows from the code is taken from it: paths, scopes, query
parameters and bodies from their serializers, and the refusals that everything of a kind shares.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from accounts.api.problems import CODES, CONTENT_TYPE
from accounts.api.scopes import required_scope

View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """Gives back the function that it is put on, described."""

    def __call__(self, view: View, /) -> View: ...


JSON: Final = "application/json"

# Of every operation, of those that need a credential, of those with a body.
ALWAYS: Final = (400, 406, 500, 503)
TO_STRANGERS: Final = (401, 403)
OF_BODIES: Final = (413, 415, 422)
REFUSALS: Final[Mapping[int, str]] = {
    400: "The request makes no sense: no JSON object, nested too deeply, a name given twice, a member not known here.",
    401: "No credential, or a token that is unknown, expired or revoked.",
    402: "A limit in USD does not allow it; `limit` says which, `resetsAt` until when.",
    403: "The token lacks the scope (`requiredScope`), the session's CSRF token is missing, or the account may not.",
    404: "There is no such thing, or it is somebody else's.",
    406: "JSON is what is spoken here.",
    409: "It is not in a state for this.",
    413: "The body, the file, or all uploads together are larger than is accepted.",
    415: "The body is of a type that is not read here.",
    422: "Some of the input is not accepted; `errors` names each field. Nothing was started.",
    429: "A limit of a count, of the queue or of a rate; `Retry-After` says when to come back.",
    500: "A fault of ours. It has been noted, and nothing was charged.",
    503: "What is needed for it cannot answer just now; `Retry-After` says when to come back.",
}
COMES_BACK: Final = (402, 429, 503)
WHOLE: Final = {"type": "integer", "minimum": 0}
# Of every answer of what is limited, in the names of draft-ietf-httpapi-ratelimit-headers before its eighth version.
RATE_HEADERS: Final[Mapping[str, str]] = {
    "RateLimit-Limit": "How many are allowed in this window.",
    "RateLimit-Remaining": "How many are left.",
    "RateLimit-Reset": "Seconds until it begins anew.",
}


class ProblemErrorSerializer(serializers.Serializer[Any]):
    """One field and what is wrong with it."""

    field = serializers.CharField(help_text="As the caller named it; empty where it is the whole.")
    message = serializers.CharField()


class ProblemLimitSerializer(serializers.Serializer[Any]):
    """The limit that refused."""

    scope = serializers.ChoiceField(choices=["site", "user", "token"])
    period = serializers.ChoiceField(choices=["day", "month"], required=False)
    unit = serializers.ChoiceField(choices=["usd", "count", "queued", "bytes"])
    amount = serializers.JSONField(help_text="A decimal string in USD, or a whole number.")


class ProblemSerializer(serializers.Serializer[Any]):
    """An error, by RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="One sentence for people.")
    code = serializers.CharField(help_text="One word for programs.")
    charged = serializers.ChoiceField(
        choices=["none", "held", "settled"], help_text="Where the money is: nowhere, reserved, or spent."
    )
    errors = ProblemErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # a member of the problem
    limit = ProblemLimitSerializer(required=False)
    resetsAt = serializers.DateTimeField(required=False)
    requiredScope = serializers.CharField(required=False)


def operation(
    id: str,
    summary: str,
    *,
    answers: Mapping[Any, Any],
    refusals: Sequence[int] = (),
    request: Any = None,
    parameters: Sequence[Any] = (),
    examples: Sequence[OpenApiExample] = (),
    description: str = "",
) -> Decorator:
    """Describe one method of a view.

    `answers` by status, or status and media type (a serializer, a JSON Schema, None), `refusals` beyond those that
    follow from the code, `request` a serializer or JSON Schemas by media type.
    """
    described: Decorator = extend_schema(
        operation_id=id,
        summary=summary,
        description=description or summary,
        request=request,
        parameters=list(parameters),
        examples=list(examples),
        responses={**answers, **dict.fromkeys(refusals, REFUSED)},
    )
    return described


def answer(description: str, shape: Any = None) -> OpenApiResponse:
    """An answer and what it means."""
    return OpenApiResponse(shape, description=description)


def header(name: str, description: str, *, on: Sequence[int], required: bool = False, type: Any = str) -> Any:
    """A header of the answers with these statuses."""
    return OpenApiParameter(
        name, type, OpenApiParameter.HEADER, description=description, required=required, response=list(on)
    )


REFUSED: Final = OpenApiResponse(ProblemSerializer, description="refused")


class Schema(AutoSchema):
    """One operation, with the refusals that it shares with others and the scope that a token needs for it."""

    method: str

    def get_tags(self) -> list[str]:
        """The first word of the path."""
        return [self.path.split("/")[2].capitalize()]

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Bearer with its scope, or a session."""
        super().get_auth()
        if any(isinstance(permission, AllowAny) for permission in self.view.get_permissions()):
            return [{}]
        scope = required_scope(self.view, self.method)
        return [{"bearer": [scope] if scope else []}, {"session": []}]

    def _resolve_path_parameters(self, variables: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super()._resolve_path_parameters(variables)  # type: ignore[no-untyped-call]
        for parameter in parameters:
            pattern = parameter["schema"].get("pattern", "")
            # What the addresses match of a UUID and of a row's number.
            if pattern.startswith(("^[0-9a-f]{8}", "^[0-9a-fA-F-]{36}")):
                parameter["schema"] = {"type": "string", "format": "uuid"}
            elif pattern.startswith("^[1-9]"):
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
        return parameters

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        answers: dict[str, Any] = super()._get_response_bodies(direction)
        given = {int(status) for status in answers if int(status) >= 400}
        rest = {str(status): refusal(status) for status in given | self._shared_refusals()}
        return dict(sorted((answers | rest).items()))

    def _shared_refusals(self) -> set[int]:
        shared = set(ALWAYS)
        if self.get_auth() != [{}]:
            shared |= set(TO_STRANGERS)
        if "{" in self.path:
            shared.add(404)
        if self._get_request_body():  # type: ignore[no-untyped-call]
            shared |= set(OF_BODIES)
        if any(parameter["in"] == "query" for parameter in self._get_parameters()):
            shared.add(422)
        return shared


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Our own tokens."""

    target_class = "accounts.api.authentication.BearerTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the Settings page, with some of the scopes `generate`, `read` and `manage`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session of a browser."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "A signed-in browser; what changes something needs the header `X-CSRFToken` too. "
            "Over https the cookie is called `__Host-sessionid`.",
        }


def refusal(status: int) -> dict[str, str]:
    """A reference to the refusal of this status."""
    return {"$ref": f"#/components/responses/{refusal_name(status)}"}


def refusal_name(status: int) -> str:
    """What it is called in the document: `NotFound`."""
    return "".join(word.capitalize() for word in CODES[status].split("_"))


def refusals() -> dict[str, Any]:
    """Every refusal as the document's components have it, each with an example."""
    return {refusal_name(status): _refused(status, sentence) for status, sentence in REFUSALS.items()}


def _refused(status: int, sentence: str) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": CODES[status].replace("_", " ").capitalize(),
        "status": status,
        "detail": sentence.partition(";")[0],
        "code": CODES[status],
        "charged": "none",
    }
    if status == 422:
        example["errors"] = [{"field": "prompt", "message": "Prompt is required."}]
    told: dict[str, Any] = {
        "description": sentence,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if status in COMES_BACK:
        told["headers"] = {"Retry-After": {"description": "Seconds.", "schema": WHOLE, "required": True}}
    if status == 429:
        told["headers"] |= {name: {"description": meaning, "schema": WHOLE} for name, meaning in RATE_HEADERS.items()}
    if status == 401:
        told["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}}
    return told
