"""The way in: allauth's views, and the link of an invitation."""

from typing import Any

from allauth.account.views import LoginView, SignupView
from django.db import IntegrityError
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


class SignUp(SignupView):
    """allauth's, which also bears that a rival takes the name or the e-mail between the look and the leap."""

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except IntegrityError:
            form.full_clean()
            response = super().form_valid(form) if form.is_valid() else self.form_invalid(form)
        return response


@require_safe
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Remember an open invitation for this session and go to the form; it is spent only when the account is made."""
    found = invitations.find(token, now=timezone.now())
    if found is None:
        return render(request, "account/signup_closed.html", status=404)
    request.session[INVITATION_KEY] = found.pk
    return redirect(reverse("account_signup", query={"email": found.email}))
