"""The settings page: who you are, how it looks, and the tokens that act for you."""

from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import confirmation, tokens
from accounts.confirmation import EmailTaken
from accounts.limits import KEYS, column
from accounts.models import ApiToken, User
from accounts.money import amount
from accounts.periods import a_period
from accounts.profile import update_profile
from accounts.tokens import InvalidToken
from accounts.web.forms import TAKEN, ProfileForm, TokenForm


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show the settings, or change name, e-mail and theme."""
    user = user_of(request)
    if request.method != "POST":
        return page(request, user)
    form = ProfileForm(request.POST, user=user)
    if not form.is_valid():
        return page(request, user, profile=form, status=422)
    if form.moves:
        # Who reads its mail can set a new password: as with second factors, a session left open must not do.
        raise_if_reauthentication_required(request, app="allauth.mfa")
        # A link goes to whatever address is named, be it a stranger's.
        if not ratelimit.consume(request, action="manage_email", user=user):
            form.add_error("email", gettext("It was changed often just now. Try again in an hour."))
            return page(request, user, profile=form, status=429)
    try:
        moved = update_profile(request=request, user=user, **form.cleaned_data)
    except EmailTaken:
        form.add_error("email", TAKEN)
        return page(request, user, profile=form, status=422)
    messages.success(
        request, gettext("Saved.") if moved else gettext("Saved. The new e-mail counts once its link has been opened.")
    )
    response = redirect("settings")
    # The switch in the bar leaves a cookie; what is chosen here is for every device, so it takes over.
    response.delete_cookie("theme")
    return response


@login_required
@require_POST
def confirmation_send(request: HttpRequest) -> HttpResponse:
    """Mail the confirmation link once more."""
    if not confirmation.send_confirmation(request=request, user=user_of(request)):
        messages.info(request, gettext("A link was sent a moment ago. Look in your mail, the spam folder too."))
    return redirect("settings")


@login_required
@never_cache
def token_create(request: HttpRequest) -> HttpResponse:
    """Make a token and show it, this once, on the answer itself: it is in no address, cookie or session."""
    if request.method != "POST":  # the address of that answer, opened once more
        return redirect("settings")
    user, now = user_of(request), timezone.now()
    form = TokenForm(request.POST)
    if not form.is_valid():
        return page(request, user, token_form=form, status=422)
    try:
        row, token = tokens.make_token(user=user, wanted=form.wanted(now=now), now=now)
    except InvalidToken as error:
        form.refuse(error)
        return page(request, user, token_form=form, status=422)
    return page(request, user, new_token=token, new_row=row)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke(request: HttpRequest, id: UUID) -> HttpResponse:
    """Ask whether to take one of the user's own tokens back, or do it."""
    token = get_object_or_404(ApiToken, pk=id, user=user_of(request))
    if request.method != "POST":
        return render(request, "accounts/token_confirm_revoke.html", {"token": token})
    tokens.revoke(token, now=timezone.now())
    messages.success(request, gettext("“%(name)s” is revoked.") % {"name": token.name})
    return redirect(f"{reverse('settings')}#tokens")


def page(
    request: HttpRequest,
    user: User,
    *,
    profile: ProfileForm | None = None,
    token_form: TokenForm | None = None,
    status: int = 200,
    **extra: Any,
) -> HttpResponse:
    """The whole page, with what one of its forms has to say."""
    now = timezone.now()
    context = {
        "profile": profile or ProfileForm(user=user),
        "token_form": token_form or TokenForm(),
        "tokens": listed_tokens(user, now),
        "unconfirmed": settings.EMAIL_CONFIRMATION and not confirmation.is_confirmed(user),
        **extra,
    }
    return render(request, "accounts/settings.html", context, status=status)


def listed_tokens(user: User, now: datetime) -> list[dict[str, Any]]:
    """The tokens that were not revoked, newest first, with what each may spend in words."""
    rows = ApiToken.objects.filter(user=user, revoked_at=None).order_by("-created_at")
    return [{"row": row, "good": row.is_good(now), "limits": limits_in_words(row)} for row in rows]


def limits_in_words(row: ApiToken) -> list[str]:
    """ "$1.00 a day", for each limit that it has."""
    limits = [(period, unit, getattr(row, column(period, unit))) for period, unit in KEYS]
    return [
        gettext("%(amount)s %(a_period)s") % {"amount": amount(unit, limit), "a_period": a_period(period)}
        for period, unit, limit in limits
        if limit is not None
    ]


def user_of(request: HttpRequest) -> User:
    """The signed-in user, by its type."""
    assert isinstance(request.user, User)
    return request.user
