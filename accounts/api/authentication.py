"""Who calls: bearer tokens for the API and for the plain views that accept them too."""

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.tokens import verify


class BearerTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`; `request.auth` is the `ApiToken`.

    A request without that scheme is left to the session; one with a token that is not good is refused, so that
    a caller never acts as somebody else by accident.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        token = bearer(request.headers.get("Authorization", ""))
        if token is None:
            return None
        row = verify(token, now=timezone.now())
        if row is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        return row.user, row

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Directors Palette"'


def token_user(request: HttpRequest) -> User | None:
    """The user whose good bearer token `request` carries, for views that DRF does not serve and that only read."""
    token = bearer(request.headers.get("Authorization", ""))
    row = verify(token, now=timezone.now()) if token is not None else None
    return row.user if row and "read" in row.scopes else None


def bearer(header: str) -> str | None:
    """The token in an Authorization header; None when it speaks of another scheme."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
