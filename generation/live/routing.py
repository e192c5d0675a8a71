"""Addresses of sockets."""

from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from generation.live.consumers import StudioConsumer

urlpatterns = [
    path("ws/studio", StudioConsumer.as_asgi()),
    re_path("", WebsocketDenier.as_asgi()),
]
