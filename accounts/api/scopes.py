"""What a token may do: each view declares the scope that each of its methods needs.

    required_scopes: ClassVar[Scopes] = {"GET": "read", "POST": "generate"}

A method that a view does not declare needs `manage`, so that what was forgotten is closed to most tokens. Sessions
have every scope. DRF loads this module before its own views, so that it can import neither them nor what does.
"""

from collections.abc import Mapping
from typing import Any, Literal

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

Scope = Literal["generate", "read", "manage"]
Scopes = Mapping[str, Scope]
UNDECLARED: Scope = "manage"


class MissingScope(PermissionDenied):
    """403 in the words of RFC 6750, section 3.1."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"This token lacks the scope “{scope}”. Make one that has it on the Settings page.")
        self.scope = scope
        self.auth_header = f'Bearer error="insufficient_scope", scope="{scope}"'


class TokenScope(BasePermission):
    """Lets a token do what it was made for; raises `MissingScope`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = required_scope(view, request.method or "")
        given = getattr(request.auth, "scopes", None)
        if scope and given is not None and scope not in given:
            raise MissingScope(scope)
        return True


def required_scope(view: Any, method: str) -> Scope | None:
    """The scope that `method` of a view needs; None for one that it does not answer, a 405 for everybody."""
    method = "GET" if method == "HEAD" else method
    if not hasattr(view, method.lower()):
        return None
    declared: Scopes = getattr(view, "required_scopes", {})
    return declared.get(method, UNDECLARED)
