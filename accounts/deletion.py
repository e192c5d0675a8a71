"""Deleting an account: from one moment on nobody gets in by it and it has no name; what there is of it goes after that.

The row itself stays until workers have ended what ran and taken away what was made, and goes last. The ledger keeps
what was spent under the pseudonym `user:<id>`, so that every sum stays what it was.
"""

from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import CASCADE, Q, QuerySet

from accounts.models import ApiToken, Invitation, User


class LastAdministrator(Exception):
    """Nobody would be left who may do everything."""


def delete_account(*, user: User, now: datetime) -> bool:
    """Close the account for good and forget whose it was; False when that was asked before.

    Sessions, sockets, tokens and share links end with this transaction; they all ask whether their user is active.
    Raises `LastAdministrator`.
    """
    with transaction.atomic():
        if user.is_superuser and not _others_administer(user):
            raise LastAdministrator
        person = User.objects.select_for_update().get(pk=user.pk)
        if person.deletion_asked_at:
            return False
        name = pseudonym(user.pk)
        _forget_person(person, name, now)
        User.objects.filter(pk=user.pk).update(
            deletion_asked_at=now,
            is_active=False,
            is_staff=False,
            is_superuser=False,
            username=name,
            email="",
            first_name="",
            last_name="",
            # Another password than before is what ends sessions even if an administrator makes the account active.
            password=make_password(None),
        )
    return True


def pseudonym(user_id: int) -> str:
    """The account's name from then on: by its number, unless somebody has taken that for a name."""
    name = f"deleted-{user_id}"
    return name if not User.objects.filter(username=name).exclude(pk=user_id).exists() else f"{name}@"


def asked() -> QuerySet[User]:
    """Accounts that are being deleted, the first to ask first."""
    return User.objects.filter(deletion_asked_at__isnull=False).order_by("deletion_asked_at", "pk")


def erase(*, user: User) -> None:
    """Delete the row of an account whose predictions and assets are gone, with whatever else is its own.

    Of somebody who has acted in the admin the row stays, without a name: what they have done outlives them.
    """
    with transaction.atomic():
        if not LogEntry.objects.filter(user=user).exists():
            User.objects.filter(pk=user.pk).delete()
            return
        for relation in User._meta.related_objects:
            if relation.on_delete is CASCADE and relation.related_model is not LogEntry:
                relation.related_model._base_manager.filter(**{relation.field.name: user}).delete()
        User.objects.filter(pk=user.pk).update(deletion_asked_at=None)


def _others_administer(user: User) -> bool:
    """Whether another superuser is active; locked, so that two who leave at once do not both rely on the other."""
    administrators = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").select_for_update()
    return any(row.pk != user.pk for row in administrators)


def _forget_person(person: User, name: str, now: datetime) -> None:
    """Their tokens, addresses and invitations, and how the admin's records call them."""
    ApiToken.objects.filter(user=person, revoked_at=None).update(revoked_at=now)
    addresses = EmailAddress.objects.filter(user=person)
    invited = Q(accepted_by=person)
    if person.email:
        invited |= Q(email__iexact=person.email)
    invitations = Invitation.objects.filter(invited)
    emails = {person.email, *addresses.values_list("email", flat=True), *invitations.values_list("email", flat=True)}
    _rename_in_records(person, emails - {""}, name)
    addresses.delete()
    invitations.delete()
    person.groups.clear()
    person.user_permissions.clear()


def _rename_in_records(person: User, emails: set[str], name: str) -> None:
    """What was written down of the account, and of addresses and invitations, which are called by their e-mail."""
    about = Q(content_type=ContentType.objects.get_for_model(User), object_id=str(person.pk))
    for email in emails:
        about |= Q(object_repr__iexact=email)
    for entry in LogEntry.objects.filter(about):
        entry.object_repr = name
        for email in emails:
            entry.change_message = entry.change_message.replace(email, name)
        entry.save(update_fields=["object_repr", "change_message"])
