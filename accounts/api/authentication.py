"""Bearer tokens."""

from rest_framework.authentication import BaseAuthentication


class BearerTokenAuthentication(BaseAuthentication):
    """Authorization: Bearer <token>."""

    def authenticate(self, request: object) -> None:
        return None
