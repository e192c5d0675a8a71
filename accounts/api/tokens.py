"""/api/tokens: a program manages the tokens of its user, as far as its own reaches."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import tokens
from accounts.api.cursor import PageQuery, page
from accounts.api.given import TextField, given
from accounts.api.openapi import answer, header, operation
from accounts.api.problems import Problem
from accounts.api.scopes import Scopes
from accounts.api.shapes import TokenMadeSerializer, TokenPageSerializer, TokenSerializer
from accounts.limits import Unit, column
from accounts.models import ApiToken, User
from accounts.models.tokens import SCOPES
from accounts.moments import moment
from accounts.money import MICROS, usd
from accounts.own_limits import MOST_COUNT, MOST_MICROS
from accounts.periods import PeriodName
from accounts.tokens import InvalidToken, Wanted

PERIODS: tuple[PeriodName, ...] = ("day", "month")
# What each field of `Wanted` is called outside.
OUTSIDE = {"expires_at": "expiresAt"}


class LimitBody(serializers.Serializer[Any]):
    """Of one day or month; null and what is left out do not limit."""

    count = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=MOST_COUNT)
    usd = serializers.DecimalField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MOST_MICROS // MICROS,
        max_digits=13,
        decimal_places=6,
        help_text="A decimal string in USD.",
    )


class LimitsBody(serializers.Serializer[Any]):
    """What the token may spend, beside the limits of its user."""

    day = LimitBody(required=False)
    month = LimitBody(required=False)


class TokenBody(serializers.Serializer[Any]):
    """A token to make."""

    name = TextField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), min_length=1, max_length=len(SCOPES))
    expiresAt = serializers.DateTimeField(required=False, allow_null=True)
    limits = LimitsBody(required=False)


class TokensView(APIView):
    """GET: the caller's tokens that were not revoked, newest first. POST: make one."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage", "POST": "manage"}

    @operation("listTokens", "Your tokens, newest first", answers={200: TokenPageSerializer}, parameters=[PageQuery])
    def get(self, request: Request) -> Response:
        """`{next, previous, results}`."""
        query = PageQuery.of(request)
        return Response(page(request, kept(request), query, present))

    @operation(
        "createToken",
        "Make a token",
        answers={201: answer("The token, shown this once.", TokenMadeSerializer)},
        request=TokenBody,
        parameters=[header("Location", "Where it can be looked at.", on=[201], required=True)],
        examples=[
            OpenApiExample(
                "of a script",
                {"name": "nightly", "scopes": ["generate", "read"], "limits": {"day": {"usd": "2.00"}}},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """201 and the token itself, which nobody can be shown again."""
        body = given(request, TokenBody)
        wanted = Wanted(body["name"], body["scopes"], body.get("expiresAt"), limits_of(body.get("limits", {})))
        maker = request.auth if isinstance(request.auth, ApiToken) else None
        try:
            row, token = tokens.make_token(user=caller(request), wanted=wanted, now=timezone.now(), maker=maker)
        except InvalidToken as error:
            errors = [(OUTSIDE.get(field, field), sentence) for field, sentence in error.errors]
            raise Problem(status=422, detail="This token is not made.", errors=errors) from None
        return Response(shown(row) | {"token": token}, status=201, headers={"Location": f"/api/tokens/{row.pk}"})


class TokenView(APIView):
    """GET: one of the caller's tokens. DELETE: revoke it, from the next request on."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage", "DELETE": "manage"}

    @operation("getToken", "Look at a token", answers={200: TokenSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        """Everything but the token itself; 404 for another's, and for what is revoked."""
        return Response(shown(get_object_or_404(kept(request), pk=id)))

    @operation("revokeToken", "Revoke a token", answers={204: answer("It is good for nothing any more.")})
    def delete(self, request: Request, id: UUID) -> Response:
        """204; the token that asks may end itself."""
        tokens.revoke(get_object_or_404(kept(request), pk=id), now=timezone.now())
        return Response(status=204)


def caller(request: Request) -> User:
    """Who asks; the permission classes let nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def kept(request: Request) -> Any:
    """The caller's tokens that were not revoked."""
    return ApiToken.objects.filter(user=caller(request), revoked_at=None)


def limits_of(body: dict[str, Any]) -> tokens.Limits:
    """Counts and micro-dollars."""
    found: dict[tuple[PeriodName, Unit], int | None] = {}
    for period in PERIODS:
        limit = body.get(period, {})
        amount = limit.get("usd")
        found[period, "count"] = limit.get("count")
        found[period, "usd"] = None if amount is None else int(amount * MICROS)
    return found


def present(rows: Sequence[ApiToken]) -> list[dict[str, Any]]:
    """A page of them."""
    return [shown(row) for row in rows]


def shown(row: ApiToken) -> dict[str, Any]:
    """A token's JSON, without what it is."""
    return {
        "id": str(row.pk),
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "createdAt": moment(row.created_at),
        "expiresAt": moment(row.expires_at),
        "lastUsedAt": moment(row.last_used_at),
        "limits": {period: limit(row, period) for period in PERIODS},
    }


def limit(row: ApiToken, period: PeriodName) -> dict[str, Any]:
    """One period's two limits; null where there is none."""
    micros = getattr(row, column(period, "usd"))
    return {"count": getattr(row, column(period, "count")), "usd": None if micros is None else usd(micros)}
