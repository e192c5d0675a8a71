"""/api/webhooks: a user's own endpoints, what was sent to them, and sending it again."""

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

from accounts.api.cursor import PageQuery, page
from accounts.api.given import TextField, given
from accounts.api.openapi import answer, header, operation
from accounts.api.problems import Problem, invalid
from accounts.api.scopes import Scopes
from accounts.moments import moment
from generation.api.requests import caller
from generation.models import OutgoingMessage, WebhookEndpoint
from generation.models.outgoing import EVENTS, TEST_EVENT
from generation.outgoing import endpoints

SENT = [*EVENTS, TEST_EVENT]
REASONS = WebhookEndpoint.DisabledFor.values


class WebhookBody(serializers.Serializer[Any]):
    """A webhook to register; without `events` it is told of all."""

    url = TextField(max_length=2000, help_text="https, to port 443 of a public host")
    description = TextField(max_length=80, required=False, allow_blank=True)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), min_length=1, max_length=len(EVENTS), required=False
    )


class WebhookChangeBody(WebhookBody):
    """What may be changed of a webhook."""

    url = TextField(max_length=2000, required=False, help_text="https, to port 443 of a public host")
    enabled = serializers.BooleanField(required=False)


class WebhookSerializer(serializers.Serializer[Any]):
    """One address that is told how predictions end."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=EVENTS))
    enabled = serializers.BooleanField()
    disabledAt = serializers.DateTimeField(allow_null=True)
    disabledFor = serializers.ChoiceField(choices=REASONS, allow_null=True)
    failingSince = serializers.DateTimeField(allow_null=True)
    previousSecretUntil = serializers.DateTimeField(allow_null=True)
    createdAt = serializers.DateTimeField()


class WebhookSecretSerializer(WebhookSerializer):
    """With the secret, which is shown this once."""

    secret = serializers.CharField()


class WebhookPageSerializer(serializers.Serializer[Any]):
    """One page, newest first."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = WebhookSerializer(many=True)


class TrySerializer(serializers.Serializer[Any]):
    """One try; `status` is null and `error` says so where nobody answered."""

    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True)
    milliseconds = serializers.IntegerField(required=False)
    error = serializers.CharField(required=False)


class DeliverySerializer(serializers.Serializer[Any]):
    """One message and the tries to deliver it; `webhookId` is the header by which a receiver knows it again."""

    id = serializers.UUIDField()
    webhookId = serializers.CharField()
    event = serializers.ChoiceField(choices=SENT)
    predictionId = serializers.UUIDField(allow_null=True)
    state = serializers.ChoiceField(choices=OutgoingMessage.State.values)
    tries = TrySerializer(many=True)
    nextTryAt = serializers.DateTimeField(allow_null=True)
    createdAt = serializers.DateTimeField()
    deliveredAt = serializers.DateTimeField(allow_null=True)


class DeliveryPageSerializer(serializers.Serializer[Any]):
    """One page, newest first."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = DeliverySerializer(many=True)


class Webhooks(APIView):
    """GET: the caller's webhooks, newest first. POST: register one."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage", "POST": "manage"}

    @operation("listWebhooks", "Your webhooks", answers={200: WebhookPageSerializer}, parameters=[PageQuery])
    def get(self, request: Request) -> Response:
        """`{next, previous, results}`."""
        query = PageQuery.of(request)
        return Response(page(request, own(request), query, present))

    @operation(
        "createWebhook",
        "Register a webhook",
        answers={201: answer("The webhook and its secret, shown this once.", WebhookSecretSerializer)},
        request=WebhookBody,
        parameters=[header("Location", "Where it can be looked at.", on=[201], required=True)],
        examples=[
            OpenApiExample(
                "of a script",
                {"url": "https://hooks.example.com/studio", "events": ["prediction.succeeded"]},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """201 with the secret."""
        body = given(request, WebhookBody)
        try:
            row = endpoints.register(user=caller(request), now=timezone.now(), **body)
        except endpoints.InvalidEndpoint as error:
            raise invalid(error.errors) from None
        shown = tell(row) | {"secret": row.secret}
        return Response(shown, status=201, headers={"Location": f"/api/webhooks/{row.pk}"})


class OneWebhook(APIView):
    """GET, PATCH and DELETE of one webhook."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage", "PATCH": "manage", "DELETE": "manage"}

    @operation("getWebhook", "Look at a webhook", answers={200: WebhookSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        """All of it but its secret."""
        return Response(tell(found(request, id)))

    @operation("changeWebhook", "Change a webhook", answers={200: WebhookSerializer}, request=WebhookChangeBody)
    def patch(self, request: Request, id: UUID) -> Response:
        """Only what is given changes; `enabled: true` begins with a clean record."""
        row, changes = found(request, id), given(request, WebhookChangeBody)
        try:
            endpoints.change(endpoint=row, changes=changes, now=timezone.now())
        except endpoints.InvalidEndpoint as error:
            raise invalid(error.errors) from None
        return Response(tell(found(request, id)))

    @operation("deleteWebhook", "Delete a webhook", answers={204: answer("It is told nothing more.")})
    def delete(self, request: Request, id: UUID) -> Response:
        """With its delivery log."""
        found(request, id).delete()
        return Response(status=204)


class WebhookSecret(APIView):
    """POST: a new secret; for 24 hours messages are signed by the one before, too."""

    required_scopes: ClassVar[Scopes] = {"POST": "manage"}

    @operation(
        "rotateWebhookSecret",
        "Rotate the secret",
        answers={201: answer("The new secret, shown this once.", WebhookSecretSerializer)},
    )
    def post(self, request: Request, id: UUID) -> Response:
        """201 with the new secret."""
        row = endpoints.rotate(endpoint=found(request, id), now=timezone.now())
        return Response(tell(row) | {"secret": row.secret}, status=201)


class WebhookTest(APIView):
    """POST: send a message that says it is a test."""

    required_scopes: ClassVar[Scopes] = {"POST": "manage"}

    @operation("testWebhook", "Send a test", answers={202: DeliverySerializer}, refusals=(409,))
    def post(self, request: Request, id: UUID) -> Response:
        """202; 409 where nothing can be sent."""
        try:
            message = endpoints.send_test(endpoint=found(request, id), now=timezone.now())
        except endpoints.NotSent as error:
            raise Problem(status=409, code="not_sent", detail=str(error)) from None
        return Response(tell_delivery(message), status=202)


class Deliveries(APIView):
    """GET: what was sent to one webhook, of the last month, newest first."""

    required_scopes: ClassVar[Scopes] = {"GET": "manage"}

    @operation("listDeliveries", "The delivery log", answers={200: DeliveryPageSerializer}, parameters=[PageQuery])
    def get(self, request: Request, id: UUID) -> Response:
        """`{next, previous, results}`."""
        query = PageQuery.of(request)
        rows = OutgoingMessage.objects.filter(endpoint=found(request, id)).defer("body")
        return Response(page(request, rows, query, present_deliveries))


class Resend(APIView):
    """POST: send one message again, under the same id."""

    required_scopes: ClassVar[Scopes] = {"POST": "manage"}

    @operation("resendDelivery", "Send again", answers={202: DeliverySerializer}, refusals=(409,))
    def post(self, request: Request, id: UUID, delivery: UUID) -> Response:
        """202; 409 where nothing can be sent."""
        rows = OutgoingMessage.objects.filter(endpoint=found(request, id)).select_related("endpoint")
        message = get_object_or_404(rows, pk=delivery)
        try:
            endpoints.send_again(message=message, now=timezone.now())
        except endpoints.NotSent as error:
            raise Problem(status=409, code="not_sent", detail=str(error)) from None
        message.refresh_from_db()
        return Response(tell_delivery(message), status=202)


def own(request: Request) -> Any:
    """The caller's webhooks."""
    return WebhookEndpoint.objects.filter(user=caller(request))


def found(request: Request, id: UUID) -> WebhookEndpoint:
    """The caller's webhook; 404 for another's."""
    row: WebhookEndpoint = get_object_or_404(own(request), pk=id)
    return row


def present(rows: Sequence[WebhookEndpoint]) -> list[dict[str, Any]]:
    """A page of them."""
    return [tell(row) for row in rows]


def tell(row: WebhookEndpoint) -> dict[str, Any]:
    """A webhook's JSON, without its secret."""
    return {
        "id": str(row.pk),
        "url": row.url,
        "description": row.description,
        "events": row.events,
        "enabled": row.disabled_at is None,
        "disabledAt": moment(row.disabled_at),
        "disabledFor": row.disabled_for or None,
        "failingSince": moment(row.failing_since),
        "previousSecretUntil": moment(row.previous_secret_until),
        "createdAt": moment(row.created_at),
    }


def present_deliveries(rows: Sequence[OutgoingMessage]) -> list[dict[str, Any]]:
    """A page of them."""
    return [tell_delivery(row) for row in rows]


def tell_delivery(row: OutgoingMessage) -> dict[str, Any]:
    """A message's JSON, without what it says."""
    return {
        "id": str(row.pk),
        "webhookId": row.webhook_id,
        "event": row.event,
        "predictionId": str(row.prediction_id) if row.prediction_id else None,
        "state": row.state,
        "tries": row.tries,
        "nextTryAt": moment(row.due_at),
        "createdAt": moment(row.created_at),
        "deliveredAt": moment(row.delivered_at),
    }
