"""Who may look, and where whoever may not is sent."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.models import User

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Send strangers to the sign-in page, as a whole page also where a fragment was asked for."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if not is_htmx(request):
            return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
        answer = HttpResponse(status=204)
        answer["HX-Redirect"] = reverse(settings.LOGIN_URL)
        return answer

    return guarded


def is_htmx(request: HttpRequest) -> bool:
    """Whether a fragment is asked for; going back to a page that fell out of the cache asks for all of it."""
    return bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]


def user_of(request: HttpRequest) -> User:
    """The creator who is signed in."""
    return cast(User, request.user)


def see_other(address: str) -> HttpResponse:
    """Send a browser on after a POST, so that a reload repeats nothing."""
    return HttpResponseRedirect(address, status=303)
