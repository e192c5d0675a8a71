"""`Prefer: wait=N` (RFC 7240): the answer comes when the prediction has ended, or after N seconds as it is then."""

import re
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase
from rest_framework.response import Response

from accounts.models import ApiToken, User
from generation.live.sessions import Credentials
from generation.live.waiting import Waiter, turned_away, waiting_room
from generation.models import Prediction
from generation.presentation import tell, with_all_told
from generation.work.connections import let_go

MOST_SECONDS: Final = 60
WAIT: Final = re.compile(r"\s*wait\s*(?:=\s*\"?([0-9]{1,9})\"?)?\s*(?:;.*)?", re.IGNORECASE)

View = Callable[..., HttpResponseBase]


def preferred_seconds(header: str) -> int:
    """How long a `Prefer` header asks to wait, 60 s at most and where it says no number; 0 for not at all."""
    for preference in header.split(","):
        if found := WAIT.fullmatch(preference):
            return min(int(found[1] or MOST_SECONDS), MOST_SECONDS)
    return 0


def waits(view: View) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """`view`, which answers of one prediction, as an async view that honours the preference.

    While it waits it holds no database connection; it ends with the client's connection, its token or its session.
    Where too many wait already it answers at once, without `Preference-Applied`.
    """

    @wraps(view)
    async def waiting_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(view)(request, *args, **kwargs)
        seconds = preferred_seconds(request.headers.get("Prefer", ""))
        waiter = waiter_of(request, response, **kwargs) if seconds else None
        if waiter is None:
            return response
        await sync_to_async(let_go)()
        if not await waiting_room().wait(waiter, seconds):
            return response
        if request.method == "GET":
            response = await sync_to_async(asked_anew)(view, request, waiter, *args, **kwargs)
        else:
            await sync_to_async(tell_anew)(response, waiter)
        response["Preference-Applied"] = f"wait={seconds}"
        return response

    return waiting_view


def waiter_of(request: HttpRequest, response: HttpResponseBase, **kwargs: Any) -> Waiter | None:
    """Who waits for what; None where the view refused, or there is nothing of which to wait for the end."""
    user, token = getattr(request, "user", None), getattr(request, "auth", None)
    named: Any = kwargs.get("id") if request.method == "GET" else None
    if isinstance(response, Response) and isinstance(response.data, dict):
        named = response.data.get("predictionId") or response.data.get("id")
    if response.status_code >= 400 or not isinstance(user, User) or not named:
        return None
    session = Credentials(user.pk, str(request.session.session_key or ""))
    return Waiter(user.pk, UUID(named), token.pk if isinstance(token, ApiToken) else session)


def asked_anew(view: View, request: HttpRequest, waiter: Waiter, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """What `view` answers by now: `request` remembers its user, whom a session that has ended signs in no more."""
    if turned_away([waiter.let_in_by]):
        request.user = AnonymousUser()
    return view(request, *args, **kwargs)


def tell_anew(response: HttpResponseBase, waiter: Waiter) -> None:
    """Put the prediction as it is now into the answer, unless its reader would not be let in any more."""
    rows = with_all_told(Prediction.objects.filter(user_id=waiter.user_id, pk=waiter.prediction_id))
    if isinstance(response, Response) and not turned_away([waiter.let_in_by]):
        told = tell(rows.get())
        response.data = {"predictionId": told["id"]} | told
