"""Users for a benchmark, in the database that the environment names: `python -m benchmarks.people COUNT`."""

import json
import os
import sys
from uuid import uuid4

import django


def main(count: int) -> None:
    """Make them; prints token and session cookie of each."""
    from django.conf import settings
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from accounts.models.tokens import SCOPES
    from accounts.tokens import create_token

    made, name = [], settings.SESSION_COOKIE_NAME
    for _ in range(count):
        called = f"bench-{uuid4().hex[:12]}"
        user = User.objects.create_user(called, f"{called}@example.com")
        _, token = create_token(user=user, name="bench", expires_at=None, now=timezone.now(), scopes=SCOPES)
        browser = Client(SERVER_NAME="127.0.0.1")
        browser.force_login(user)
        made.append({"token": token, "session": f"{name}={browser.cookies[name].value}"})
    print(json.dumps(made))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")
    django.setup()
    main(int(sys.argv[1]))
