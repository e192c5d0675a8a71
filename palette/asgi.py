"""The ASGI door: HTTP to Django, sockets to the live feed."""

import os
import sys
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

from palette.environment import one_sentence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")

with one_sentence():
    pages: Any = get_asgi_application()

# What stands on models can be imported only now.
from generation.live.consumers import bound_messages
from generation.live.origin import OwnOrigin
from generation.live.routing import urlpatterns
from palette.draining import LastWords, drain_at_end
from palette.limits import LimitedBody, bound_bodies, hurry_bodies
from palette.pacing import Paced
from palette.threads import InKeptThreads

application = ProtocolTypeRouter(
    {
        "http": LastWords(Paced(LimitedBody(InKeptThreads(pages)))),
        "websocket": OwnOrigin(AuthMiddlewareStack(URLRouter(urlpatterns))),
    }
)

# Daphne has no options for these; another server has its own.
if "daphne.ws_protocol" in sys.modules:
    bound_messages(sys.modules["daphne.ws_protocol"].WebSocketProtocol)
    bound_bodies(sys.modules["daphne.http_protocol"].WebRequest)
    hurry_bodies(sys.modules["daphne.http_protocol"].WebRequest)
    drain_at_end(sys.modules["daphne.server"].Server, sys.modules["daphne.http_protocol"].WebRequest)
