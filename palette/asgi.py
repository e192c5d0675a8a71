"""The ASGI door: HTTP to Django, sockets to the live feed."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")

from django.core.asgi import get_asgi_application

from palette.environment import one_sentence

with one_sentence():
    application = get_asgi_application()
