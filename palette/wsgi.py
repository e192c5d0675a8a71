"""The WSGI door, for those who split pages and webhooks from sockets."""

import os

from django.core.wsgi import get_wsgi_application
from django.db import connections

from palette.environment import one_sentence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")

with one_sentence():
    application = get_wsgi_application()

# Threads of a WSGI server live long. Opening SQLite costs them as much as two statements, so they keep it open; under
# ASGI each request has a thread of its own.
if connections["default"].vendor == "sqlite":
    connections.settings["default"]["CONN_MAX_AGE"] = None
