"""The page on which an account is deleted: what that means, the name typed out, and the password."""

from typing import Any

from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.deletion import LastAdministrator, delete_account
from accounts.models import User
from accounts.web.profile import user_of

LAST = gettext_noop("You are the only administrator left. Make somebody else one first.")


class DeletionForm(forms.Form):
    """What proves that it is meant, and by whom."""

    name = forms.CharField(max_length=150, strip=True)
    password = forms.CharField(max_length=4096, strip=False, widget=forms.PasswordInput, required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_name(self) -> str:
        """The account's own."""
        name = str(self.cleaned_data["name"])
        if name != self.user.username:
            raise ValidationError(
                gettext("Type “%(username)s”, the name of this account.") % {"username": self.user.username}
            )
        return name

    def clean_password(self) -> str:
        """Looked at only beside the right name; who has none signs in by other means."""
        password = str(self.cleaned_data["password"])
        if "name" in self.cleaned_data and self.user.has_usable_password() and not self.user.check_password(password):
            raise ValidationError(gettext("This is not your password."))
        return password


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete_page(request: HttpRequest) -> HttpResponse:
    """Say what is deleted and what stays; a POST that proves it is meant deletes, and signs out."""
    user = user_of(request)
    if request.method != "POST":
        return _page(request, DeletionForm(user=user))
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        form = DeletionForm(user=user)
        return _page(request, form, error=gettext("Too many tries. Wait a minute, then try again."), status=429)
    form = DeletionForm(request.POST, user=user)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        delete_account(user=user, now=timezone.now())
    except LastAdministrator:
        return _page(request, form, error=gettext(LAST), status=409)
    logout(request)
    messages.success(request, gettext("Your account is deleted. What is left of it goes within a few hours."))
    return redirect("account_login")


def _page(request: HttpRequest, form: DeletionForm, *, error: str = "", status: int = 200) -> HttpResponse:
    return render(request, "accounts/user_confirm_delete.html", {"form": form, "error": error}, status=status)
