"""Which account a command means."""

from django.core.management.base import CommandError

from accounts.models import User


def named(username: str) -> User:
    """The active account of that name. Raises `CommandError` with the reason."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no account named {username!r}.")
    if not user.is_active:
        raise CommandError(f"The account {username!r} is closed.")
    return user
