"""The security page: two-factor sign-in, and where one is signed in."""

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import signed_in
from accounts.web.profile import user_of


@login_required
@never_cache
@require_safe
def security_page(request: HttpRequest) -> HttpResponse:
    """What guards the account."""
    user = user_of(request)
    factors = {row.type: row for row in Authenticator.objects.filter(user=user)}
    codes = factors.get(Authenticator.Type.RECOVERY_CODES)
    context = {
        "app": factors.get(Authenticator.Type.TOTP),
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
        "sign_ins": signed_in.sign_ins(user, session_key=request.session.session_key or ""),
    }
    return render(request, "accounts/security.html", context)


@login_required
@require_POST
def sign_out_others(request: HttpRequest) -> HttpResponse:
    """End every other session; their open pages notice within half a minute."""
    count = signed_in.end_others(user_of(request), session_key=request.session.session_key or "")
    sentence = ngettext("Signed out of one other browser.", "Signed out of %(count)s other browsers.", count)
    messages.success(request, sentence % {"count": count} if count else gettext("You were signed in nowhere else."))
    return redirect("settings_security")
