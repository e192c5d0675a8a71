"""What the frame of every page needs to know: theme, sandbox, money left."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from accounts import quotas
from generation.web.budget import Money, money_left

THEMES = ("dark", "light")


def theme_of(request: HttpRequest) -> str:
    """The remembered theme, so that the first paint is right: the cookie, else the account's, else the system's."""
    remembered = request.COOKIES.get("theme", "")
    if remembered in THEMES:
        return remembered
    user = getattr(request, "user", None)
    return str(user.theme) if user is not None and user.is_authenticated else ""


def studio(request: HttpRequest) -> dict[str, Any]:
    """Context for the frame of the pages; the money is counted only where a template shows it."""
    context: dict[str, Any] = {"theme": theme_of(request), "simulated": settings.PROVIDER == "sandbox"}
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:

        def count() -> Money:
            return money_left(quotas.usage(user=user, now=timezone.now()))

        context["money"] = SimpleLazyObject(count)
    return context
