"""The WSGI door, for those who split pages and webhooks from sockets."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")

application = get_wsgi_application()
