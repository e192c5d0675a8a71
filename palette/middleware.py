"""Other people's middleware, which under ASGI changes threads only where it has to wait.

Django runs each half of a synchronous middleware in a thread, one after the other: some twenty changes of threads a
request, which cost more than most views. Hardly any of these halves waits for anything.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Unthreaded(MiddlewareMixin):
    """Its halves run where the request is; in a thread of their own only if they say that they wait."""

    def waits_before(self, request: HttpRequest) -> bool:
        """Whether `process_request` asks a database or makes a page."""
        return False

    def waits_after(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        """The same of `process_response`."""
        return False

    async def __acall__(self, request: HttpRequest) -> Any:
        """In the place of `MiddlewareMixin`'s."""
        before, after = getattr(self, "process_request", None), getattr(self, "process_response", None)
        response: Any = None
        if before:
            response = await sync_to_async(before)(request) if self.waits_before(request) else before(request)
        response = response or await self._next(request)
        if after:
            waits = self.waits_after(request, response)
            response = await sync_to_async(after)(request, response) if waits else after(request, response)
        return response

    async def _next(self, request: HttpRequest) -> Any:
        answer: Any = self.get_response(request)
        return await answer


class XFrameOptions(Unthreaded, XFrameOptionsMiddleware):
    """Writes a header."""


class Policy(Unthreaded, CSPMiddleware):
    """Writes a header, the same for every answer; so it is put together once. No view of ours changes it."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        usual = HttpResponse()
        CSPMiddleware.process_response(self, HttpRequest(), usual)
        self._usual = {name: value for name, value in usual.items() if name.startswith("Content-Security-Policy")}

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """What a view has written stays."""
        for name, value in self._usual.items():
            response.headers.setdefault(name, value)
        return response


class Security(Unthreaded, SecurityMiddleware):
    """Writes headers, and leads to https."""


class Sessions(Unthreaded, SessionMiddleware):
    """Reads a cookie, and where the session was changed saves it."""

    def waits_after(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        """Saving does."""
        return bool(request.session.modified)


class Common(Unthreaded, CommonMiddleware):
    """Looks at the host's name and the address."""


class Csrf(Unthreaded, CsrfViewMiddleware):
    """Reads a cookie, and of a form that is sent the token in it, which may be far down in a large body."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        if self.async_mode:
            self._look: Callable[..., Any] = self.process_view
            # Django asks it of the object, and awaits what it gets where that is to be awaited.
            vars(self)["process_view"] = self._look_in_turn

    async def _look_in_turn(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        found: HttpResponse | None
        if request.method in SAFE_METHODS or getattr(view, "csrf_exempt", False):
            found = self._look(request, view, args, kwargs)
        else:
            found = await sync_to_async(self._look)(request, view, args, kwargs)
        return found


class Authentication(Unthreaded, AuthenticationMiddleware):
    """Lets the user be found when somebody asks."""


class Messages(Unthreaded, MessageMiddleware):
    """Keeps what is to be said on the next page, mostly in a cookie."""

    def waits_after(self, request: HttpRequest, response: HttpResponseBase) -> bool:
        """A session takes what a cookie cannot."""
        messages = getattr(request, "_messages", None)
        return messages is not None and bool(messages.used or messages.added_new)
