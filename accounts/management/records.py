"""What commands change, written down where the admin's changes are."""

import getpass

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model

from accounts.models import User


def record(command: str, row: Model, sentence: str) -> None:
    """Enter that `manage.py <command>` has changed `row`, with the operating system's name of who ran it.

    A record needs an account. Each command has one of its own: closed, without a password, and of a name that nobody
    can sign up under, because of the space in it.
    """
    closed = {"is_active": False, "password": "!"}
    who, _ = User.objects.get_or_create(username=f"manage.py {command}", defaults=closed)
    said = f"{sentence}. Run by {_person()}."
    LogEntry.objects.log_actions(who.pk, [row], CHANGE, change_message=said, single_object=True)


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "a user without a name"
