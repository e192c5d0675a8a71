"""Which pages may open a socket: only our own. A browser sends cookies along whoever asks it to connect."""

from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host


class OwnOrigin:
    """ASGI: 403 for a handshake whose Origin is not the address it was sent to, or which has none."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        app = self.app if is_own(origin=origin, host=host) else WebsocketDenier()
        await app(scope, receive, send)


def is_own(*, origin: str, host: str) -> bool:
    """Whether `origin` is a trusted one, or that of the address in the Host header, which must be ours."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    name, _ = split_domain_port(host)
    if not name or not validate_host(name, settings.ALLOWED_HOSTS):
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    schemes = {"https"} if settings.PRODUCTION else {"http", "https"}
    return parts.scheme in schemes and origin.lower() == f"{parts.scheme}://{host.lower()}"
