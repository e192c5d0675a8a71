"""The WSGI door, for those who split pages and webhooks from sockets."""

import os

from django.core.wsgi import get_wsgi_application

from palette.environment import one_sentence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")

with one_sentence():
    application = get_wsgi_application()
