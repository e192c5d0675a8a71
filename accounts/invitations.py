"""Invitations: the links by which somebody may sign up where signing up is not open to all."""

import secrets
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.urls import reverse

from accounts.addresses import absolute
from accounts.models import Invitation, User
from accounts.tokens import digest_of

VALID_FOR = timedelta(days=14)


class InvitationSpent(Exception):
    """The invitation was used by a rival, or ran out, in the meantime."""


def invite(*, email: str, now: datetime, request: HttpRequest | None = None) -> tuple[Invitation, str]:
    """The row, and a link for `email` that is good once within `VALID_FOR` and cannot be shown again."""
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        email=email.lower(), digest=digest_of(token), created_at=now, expires_at=now + VALID_FOR
    )
    return invitation, absolute(reverse("account_invitation", args=[token]), request=request)


def find(token: str, *, now: datetime) -> Invitation | None:
    """The invitation that the link's `token` opens, while it is open."""
    invitation = Invitation.objects.filter(digest=digest_of(token)).first()
    return invitation if invitation and invitation.is_open(now) else None


def accept(*, invitation: Invitation, user: User, now: datetime) -> None:
    """Spend the invitation on `user`, inside the transaction that makes the account. Raises `InvitationSpent`."""
    still_open = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, expires_at__gt=now)
    if not still_open.update(accepted_at=now, accepted_by=user):
        raise InvitationSpent(invitation.email)
