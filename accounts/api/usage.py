"""GET /api/usage: where the caller, and the token that asks, stand against each limit."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import quotas, storage_room
from accounts.api.openapi import operation
from accounts.api.scopes import Scopes
from accounts.api.shapes import UsageSerializer
from accounts.models import ApiToken, User
from accounts.moments import moment
from accounts.money import usd
from accounts.quotas import Meter, PeriodUsage, Usage


class UsageView(APIView):
    """Counts as numbers, money as decimal strings in USD; a limit that is not set is null."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}

    @operation("getUsage", "Where you stand against each limit", answers={200: UsageSerializer})
    def get(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        now = timezone.now()
        room = storage_room.room_of(request.user.pk)
        storage = {"limitBytes": room.limit, "usedBytes": room.used, "remainingBytes": room.remaining}
        answer = periods(quotas.usage(user=request.user, now=now)) | {"storage": storage}
        if isinstance(request.auth, ApiToken):
            answer["token"] = periods(quotas.token_usage(token=request.auth, now=now))
        return Response(answer)


def periods(usage: Usage) -> dict[str, Any]:
    """Day and month."""
    return {"day": period(usage.day), "month": period(usage.month)}


def period(usage: PeriodUsage) -> dict[str, Any]:
    """One day or month as the API words it."""
    money = {name: None if value is None else usd(value) for name, value in meter(usage.usd).items()}
    return {
        "count": meter(usage.count),
        "usd": money,
        "resetsAt": moment(usage.resets_at),
    }


def meter(meter: Meter) -> dict[str, int | None]:
    """One limit and what is used of it."""
    return {
        "limit": meter.limit,
        "settled": meter.settled,
        "reserved": meter.reserved,
        "remaining": meter.remaining,
    }
