"""Who looks at the admin in tests, and how its pages are addressed."""

from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.test import Client

from accounts import auditors
from accounts.models import User

ADMIN = f"/{settings.ADMIN_PATH}"


def make_administrator(name: str = "root") -> User:
    """A superuser."""
    return User.objects.create_superuser(name, f"{name}@example.org", "correct horse")


def make_auditor(name: str = "audit") -> User:
    """Staff who may look and change nothing."""
    user = User.objects.create_user(name, f"{name}@example.org", "correct horse", is_staff=True)
    auditors.keep_auditors()
    user.groups.add(Group.objects.get(name=auditors.NAME))
    return user


def make_staff(name: str = "staff") -> User:
    """Staff with no permission at all."""
    return User.objects.create_user(name, f"{name}@example.org", "correct horse", is_staff=True)


def page(client: Client, address: str, **query: Any) -> str:
    """A page of the admin that must be there."""
    response = client.get(f"{ADMIN}{address}", query)
    assert response.status_code == 200, response
    return response.content.decode()


def said(response: Any) -> list[str]:
    """The messages that the page shows after a post."""
    return [str(message) for message in response.context["messages"]]


def recorded() -> list[str]:
    """What was written down, oldest first."""
    return list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))
