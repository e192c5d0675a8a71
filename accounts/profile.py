"""Name, e-mail and theme of an account."""

from django.http import HttpRequest

from accounts import confirmation
from accounts.models import User


def update_profile(*, request: HttpRequest, user: User, name: str, email: str, theme: str) -> bool:
    """Change what was given; False when a new e-mail has yet to be confirmed by its link. Raises `EmailTaken`."""
    User.objects.filter(pk=user.pk).update(first_name=name, theme=theme)
    if email == user.email.lower():
        return True
    return confirmation.change_email(request=request, user=user, email=email)
