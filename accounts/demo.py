"""The account that a first start comes with."""

import secrets
from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.models import User

NAME = "demo"
# Nobody can receive mail there, so nobody can take the account over by it.
EMAIL = "demo@example.invalid"


def ensure_demo_account(*, now: datetime) -> tuple[str, str | None]:
    """Its name, and its random password if it was made just now: a plain creator, confirmed by whoever starts us."""
    password = secrets.token_urlsafe(12)
    fields = {"email": EMAIL, "password": make_password(password), "date_joined": now}
    with transaction.atomic():
        user, created = User.objects.get_or_create(username=NAME, defaults=fields)
        if created:
            EmailAddress.objects.create(user=user, email=EMAIL, primary=True, verified=True)
    return NAME, password if created else None
