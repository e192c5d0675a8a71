"""E-mail addresses: confirmed, changed, and asked for before money is spent."""

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts.models import User


class EmailTaken(Exception):
    """Another account has this address."""


def may_spend(user: User) -> bool:
    """Whether `user` is active and, where confirmation is on, has confirmed the address of the account."""
    return bool(user.is_active) and (not settings.EMAIL_CONFIRMATION or is_confirmed(user))


def is_confirmed(user: User) -> bool:
    """Whether the account's own address was proven."""
    return bool(EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=True).exists())


def send_confirmation(*, request: HttpRequest, user: User) -> bool:
    """Mail a new link to the account's address; False when one was sent a moment ago or none is needed."""
    if not user.email:
        return False
    address, _ = EmailAddress.objects.get_or_create(
        user=user, email=user.email.lower(), defaults={"primary": not EmailAddress.objects.filter(user=user).exists()}
    )
    return not address.verified and bool(send_verification_email_to_address(request, address))


def change_email(*, request: HttpRequest, user: User, email: str) -> bool:
    """Move the account to `email`; False when that waits for the link which was mailed there. Raises `EmailTaken`."""
    if settings.EMAIL_CONFIRMATION:
        EmailAddress.objects.add_new_email(request, user, email)
        return False
    try:
        with transaction.atomic():
            EmailAddress.objects.filter(user=user).delete()
            EmailAddress.objects.create(user=user, email=email, primary=True, verified=False)
            User.objects.filter(pk=user.pk).update(email=email)
    except IntegrityError:
        raise EmailTaken(email) from None
    return True
