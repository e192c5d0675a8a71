"""A JSON body read by a serializer: unknown members are refused, so that a misspelt one is never ignored."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.problems import Problem


class TextField(serializers.CharField):
    """A string in JSON; a number is none, and is not written out."""

    def to_internal_value(self, data: Any) -> str:
        """The text; 422 for anything else."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IdField(serializers.UUIDField):
    """A UUID in its usual letters; a number or a truth value is none, though either could be written as one."""

    def to_internal_value(self, data: Any) -> UUID:
        """The UUID; 422 for anything else."""
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


def given(request: Request, serializer: type[serializers.Serializer[Any]], **options: Any) -> dict[str, Any]:
    """The valid data; raises `Problem` (400 for members that are not taken) and `ValidationError` (422)."""
    form = serializer(data=request.data, **options)
    if unknown := sorted(strange(form, request.data)):
        raise Problem(status=400, errors=[(name, "This is not taken here.") for name in unknown])
    form.is_valid(raise_exception=True)
    data: dict[str, Any] = form.validated_data
    return data


def strange(form: serializers.Serializer[Any], body: Any, prefix: str = "") -> list[str]:
    """The dotted names of the members of `body` that `form` has no writable field for."""
    if not isinstance(body, dict):
        return []
    names = {name for name, field in form.fields.items() if not field.read_only}
    found = [f"{prefix}{name}" for name in body.keys() - names]
    for name in body.keys() & names:
        inner = form.fields[name]
        if isinstance(inner, serializers.Serializer):
            found += strange(inner, body[name], f"{prefix}{name}.")
    return found
