"""The account that a first start comes with."""

import secrets
from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Q

from accounts.models import User

NAME = "demo"
# Nobody can receive mail there, so nobody can take the account over by it.
EMAIL = "demo@example.invalid"


def ensure_demo_account(*, now: datetime) -> tuple[str, str | None]:
    """Its name, and its random password if it was made just now: a plain creator, confirmed by whoever starts us."""
    # Who has renamed it has not asked for a second one.
    existing = User.objects.filter(Q(username=NAME) | Q(email__iexact=EMAIL)).order_by("pk").first()
    if existing:
        return existing.username, None
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        user = User.objects.create(username=NAME, email=EMAIL, password=make_password(password), date_joined=now)
        EmailAddress.objects.create(user=user, email=EMAIL, primary=True, verified=True)
    return NAME, password
