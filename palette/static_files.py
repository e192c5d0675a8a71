"""Static files by WhiteNoise, which by itself knows only requests that have a thread from beginning to end."""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):
    """The same, as a middleware that also goes on to what is async: a request that waits there needs no thread."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The file, or what comes of the request; where the next is async, something to await."""
        answer = super().__call__(request)
        return awaited(answer) if self.is_async else answer


async def awaited(answer: Any) -> Any:
    """A file is there at once."""
    return await answer if isawaitable(answer) else answer
