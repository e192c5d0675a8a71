"""allauth's questions about this installation: who may sign up, where links lead, where a request came from."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts import invitations, mail
from accounts.addresses import absolute, client_address
from accounts.models import Invitation, User

log = logging.getLogger(__name__)

# The session remembers an invitation by its id, so that the link's secret is in no form.
INVITATION_KEY = "invitation"


class AccountAdapter(DefaultAccountAdapter):
    """The installation's answers."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": gettext_lazy("That name and password do not match."),
        "email_password_mismatch": gettext_lazy("That e-mail and password do not match."),
        "too_many_login_attempts": gettext_lazy("Too many attempts. Wait a few minutes, then try again."),
        "email_taken": gettext_lazy("This e-mail belongs to an account already. Sign in, or reset its password."),
        "username_taken": gettext_lazy("This name is taken. Pick another."),
        "unknown_email": gettext_lazy("No account has this e-mail."),
        "incorrect_password": gettext_lazy("That is not the current password."),
        "enter_current_password": gettext_lazy("That is not the current password."),
        "rate_limited": gettext_lazy("Too many requests. Wait a moment, then try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGNUP == "open" or invitation_of(request))

    def clean_email(self, email: str) -> str:
        """An invitation is for the address that it was written to, and for no other."""
        invitation = invitation_of(self.request)
        if invitation and not self.request.user.is_authenticated and email.lower() != invitation.email:
            raise ValidationError(gettext("This invitation is for another e-mail address."))
        return str(super().clean_email(email))

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Account and invitation are one transaction, so that one link makes one account."""
        invitation = invitation_of(request)
        try:
            with transaction.atomic():
                saved: User = super().save_user(request, user, form, commit)
                if invitation:
                    invitations.accept(invitation=invitation, user=saved, now=timezone.now())
        except invitations.InvitationSpent:
            raise ImmediateHttpResponse(render(request, "account/signup_closed.html", status=403)) from None
        request.session.pop(INVITATION_KEY, None)
        return saved

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Who proves an address has it; an account that has merely named it goes on without one."""
        with transaction.atomic():
            if email_address.can_set_verified():
                others = User.objects.exclude(pk=email_address.user_id)
                others.filter(email__iexact=email_address.email).update(email="")
            return bool(super().confirm_email(request, email_address))

    def get_client_ip(self, request: HttpRequest) -> str:
        """Behind a socket file there is none, and the list of sessions must say something."""
        return client_address(request) or "::"

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return absolute(path.replace("UID-KEY", key), request=self.request)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return absolute(reverse("account_confirm_email", args=[emailconfirmation.key]), request=request)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        links = {
            "signup_url": absolute(reverse("account_signup"), request=self.request),
            "password_reset_url": absolute(reverse("account_reset_password"), request=self.request),
        }
        try:
            with mail.leaving():
                super().send_mail(template_prefix, email, links | context)
        except mail.MailUnsent as unsent:
            # What it was about has happened: the account is made, the password changed. Only its reader has to know.
            log.error("a message for the page that asked for it was not sent (%s)", unsent)
            sentence = gettext("Our mail server does not answer, so no message went out. Ask again in a few minutes.")
            messages.error(self.request, sentence, fail_silently=True)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("settings")


def invitation_of(request: HttpRequest) -> Invitation | None:
    """The open invitation that this session came with, where invitations count."""
    if settings.SIGNUP != "invite" or INVITATION_KEY not in request.session:
        return None
    invitation = Invitation.objects.filter(pk=request.session[INVITATION_KEY]).first()
    return invitation if invitation and invitation.is_open(timezone.now()) else None
