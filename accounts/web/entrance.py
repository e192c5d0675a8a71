"""The way in: allauth's views, and the link of an invitation."""

from typing import Any

from allauth.account.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import invitations
from accounts.adapter import INVITATION_KEY, AccountAdapter


class SignIn(LoginView):
    """allauth's, which is also told whether a newcomer may be shown the way to an account."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        open_for_signup = AccountAdapter(self.request).is_open_for_signup(self.request)
        return {**super().get_context_data(**kwargs), "open_for_signup": open_for_signup}


@require_safe
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Remember an open invitation for this session and go to the form; it is spent only when the account is made."""
    found = invitations.find(token, now=timezone.now())
    if found is None:
        return render(request, "account/signup_closed.html", status=404)
    request.session[INVITATION_KEY] = found.pk
    return redirect(reverse("account_signup", query={"email": found.email}))
