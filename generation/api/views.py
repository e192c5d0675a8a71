"""The API of predictions: ask, look, cancel, retry, and what it would cost."""

from datetime import datetime
from typing import ClassVar

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import quotas
from accounts.api.conditional import ETAG, UNCHANGED, conditional
from accounts.api.cursor import PageQuery, page
from accounts.api.openapi import JSON, Decorator, answer, header, operation
from accounts.api.problems import Problem
from accounts.api.rates import count_headers, told
from accounts.api.scopes import Scopes
from accounts.moments import moment
from accounts.money import usd
from generation import lifecycle, pricing, quotes
from generation.api import asking
from generation.api.doors import KEY_PARAMETER, doors, idempotency_key
from generation.api.offer import tell_models
from generation.api.requests import body, caller, charged, found, token_id
from generation.api.shapes import (
    ACCEPTED_EXAMPLE,
    IMAGE_EXAMPLE,
    VIDEO_EXAMPLE,
    AcceptedSerializer,
    EstimateSerializer,
    ModelsSerializer,
    PredictionPageSerializer,
    PredictionSerializer,
)
from generation.catalog.base import ModelSpec, Parsed
from generation.models import Prediction
from generation.presentation import tell, tell_all, with_all_told
from generation.pricing import Quote
from generation.states import OUTSIDE, Status


class PredictionQuery(PageQuery):
    """The filters of the list; `status` is a word of the outside."""

    status = serializers.ChoiceField(choices=sorted(set(OUTSIDE.values())), required=False)
    type = serializers.ChoiceField(choices=Prediction.Type.choices, required=False)


PREFER = OpenApiParameter(
    "Prefer",
    {"type": "string", "examples": ["wait=30"]},
    OpenApiParameter.HEADER,
    description="`wait=N`: answer when the prediction has ended, or after N seconds (60 at most) as it is then.",
)
LOCATION = header("Location", "Where it can be looked at.", on=[201, 202], required=True)


def asking_operation(id: str, summary: str, schema: str, example: OpenApiExample) -> Decorator:
    """What asking for a picture and for a film have in common."""
    return operation(
        id,
        summary,
        answers={201: answer("It is let in, or was by the same key.", AcceptedSerializer)},
        refusals=(402, 429),
        request={JSON: {"$ref": f"#/components/schemas/{schema}"}},
        parameters=[KEY_PARAMETER, PREFER, LOCATION, *told(201)],
        examples=[example, ACCEPTED_EXAMPLE],
    )


class Generate(APIView):
    """POST: ask for a picture or a film."""

    required_scopes: ClassVar[Scopes] = {"POST": "generate"}
    type: ClassVar[asking.Type] = "image"

    @asking_operation("createImage", "Ask for a picture", "ImageRequest", IMAGE_EXAMPLE)
    def post(self, request: Request) -> Response:
        """201 with the prediction's id; the same for a key that has made it before."""
        return self.ask(request)

    def ask(self, request: Request) -> Response:
        """Let it in, or raise why not."""
        now, key, user = timezone.now(), idempotency_key(request), caller(request)
        asked = asking.read(body(request), type=self.type)
        with doors(now):
            # First, so that a repeat finds what it made also when its quote has expired since.
            prediction = lifecycle.find_repeat(
                user=user, model=asked.spec.id, asked=asked.raw, idempotency_key=key, now=now
            )
            if prediction is None:
                held = asking.held(asked, user=user, now=now)
                prediction = lifecycle.request_prediction(
                    user=user,
                    spec=asked.spec,
                    parsed=asking.complete(asked, user=user, now=now),
                    now=now,
                    idempotency_key=key,
                    asked=asked.raw,
                    token_id=token_id(request),
                    quoted=held.rules if held else None,
                    looked=True,
                )
        counted = count_headers(user=user, now=now, usage=prediction.usage)
        return Response(
            {
                "predictionId": str(prediction.pk),
                "status": OUTSIDE[Status(prediction.status)],
                "estimatedCost": usd(prediction.estimated_micros),
                "warnings": prediction.warnings,
            },
            status=201,
            headers={"Location": location(prediction)} | counted,
        )


class GenerateVideo(Generate):
    """POST: ask for a film."""

    type = "video"

    @asking_operation("createVideo", "Ask for a film", "VideoRequest", VIDEO_EXAMPLE)
    def post(self, request: Request) -> Response:
        """The same."""
        return self.ask(request)


class Estimate(APIView):
    """POST: what a generation would cost, and whether it would be let in. Nothing is created or fetched."""

    required_scopes: ClassVar[Scopes] = {"POST": "read"}

    @operation(
        "estimate",
        "What a generation would cost, and whether it would be let in",
        answers={200: EstimateSerializer},
        request={JSON: {"$ref": "#/components/schemas/GenerationRequest"}},
        examples=[IMAGE_EXAMPLE, VIDEO_EXAMPLE],
    )
    def post(self, request: Request) -> Response:
        """The very request is made and taken back, so that the answer is the one it would get."""
        now, user = timezone.now(), caller(request)
        asked = asking.read(body(request), type=None)
        held, parsed = asking.held(asked, user=user, now=now), asking.priced(asked, user=user)
        quote = pricing.quote(spec=asked.spec, inputs=parsed.inputs, now=now, quoted=held.rules if held else None)
        reason, usage = refusal(request, asked.spec, parsed, quote, now), quotas.usage(user=user, now=now)
        held = held or quotes.hold(user=user, spec=asked.spec, quote=quote, now=now)
        answer = {
            "model": asked.spec.id,
            "estimatedCost": usd(quote.amount_micros),
            "upTo": quote.up_to,
            "quote": held.token,
            "quoteExpiresAt": moment(held.expires_at),
            "remaining": {"day": left(usage.day), "month": left(usage.month)},
            "allowed": not reason,
            "warnings": parsed.warnings,
        }
        return Response(answer | {"reason": reason} if reason else answer)


class Predictions(APIView):
    """GET: the caller's predictions, newest first."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}

    @operation(
        "listPredictions",
        "Your predictions, newest first",
        answers={200: PredictionPageSerializer},
        parameters=[PredictionQuery],
    )
    def get(self, request: Request) -> Response:
        """`{next, previous, results}`."""
        wanted = PredictionQuery.of(request)
        rows = with_all_told(Prediction.objects.for_owner(caller(request)))
        if "status" in wanted:
            rows = rows.filter(status__in=[inner for inner, outer in OUTSIDE.items() if outer == wanted["status"]])
        if "type" in wanted:
            rows = rows.filter(type=wanted["type"])
        return Response(page(request, rows, wanted, tell_all))


class OnePrediction(APIView):
    """GET: one prediction."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}

    @operation(
        "getPrediction",
        "Look at a prediction",
        answers={200: PredictionSerializer} | UNCHANGED,
        parameters=[PREFER, *ETAG],
    )
    def get(self, request: Request, id: str) -> Response:
        """The whole of it; 404 for another's."""
        return conditional(request, tell(found(request, id)))


class Cancel(APIView):
    """POST: end it, as far as it can still be ended."""

    required_scopes: ClassVar[Scopes] = {"POST": "generate"}

    @operation(
        "cancelPrediction",
        "End it, as far as it can still be ended",
        answers={202: answer("As it is now; `cancelRequested` says that the end is asked for.", PredictionSerializer)},
        refusals=(409,),
    )
    def post(self, request: Request, id: str) -> Response:
        """202; 409 for what is finished or being stored."""
        prediction = found(request, id)
        try:
            prediction = lifecycle.cancel_prediction(prediction=prediction, now=timezone.now())
        except lifecycle.NotCancelable:
            now_is = found(request, id)
            raise Problem(
                status=409,
                code="not_cancelable",
                detail="It is finished or being saved, so there is nothing left to cancel.",
                charged=charged(now_is),
            ) from None
        return Response(tell(prediction), status=202)


class Retry(APIView):
    """POST: ask for the same again, as a new prediction."""

    required_scopes: ClassVar[Scopes] = {"POST": "generate"}

    @operation(
        "retryPrediction",
        "Ask for the same again",
        answers={202: answer("The new prediction.", PredictionSerializer)},
        refusals=(402, 409, 422, 429),
        parameters=[KEY_PARAMETER, PREFER, LOCATION, *told(202)],
    )
    def post(self, request: Request, id: str) -> Response:
        """202 and the new prediction; 409 for what has not failed, been canceled or been lost."""
        now, key, earlier = timezone.now(), idempotency_key(request), found(request, id)
        with doors(now):
            try:
                prediction = lifecycle.retry_prediction(
                    prediction=earlier, now=now, idempotency_key=key, token_id=token_id(request)
                )
            except lifecycle.NotRetryable:
                raise Problem(
                    status=409,
                    code="not_retryable",
                    detail="Only what has failed, was canceled or was lost can be tried again.",
                    charged=charged(earlier),
                ) from None
        counted = count_headers(user=caller(request), now=now, usage=prediction.usage)
        return Response(tell(prediction), status=202, headers={"Location": location(prediction)} | counted)


class Models(APIView):
    """GET: what can be asked for."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}

    @operation("listModels", "What can be asked for", answers={200: ModelsSerializer})
    def get(self, request: Request) -> Response:
        """Every model with its input schema, price rules and usual time."""
        return Response({"results": tell_models(now=timezone.now())})


def refusal(request: Request, spec: ModelSpec, parsed: Parsed, quote: Quote, now: datetime) -> str:
    """Why this would not be let in just now; empty when it would."""
    try:
        with doors(now), transaction.atomic():
            lifecycle.request_prediction(
                user=caller(request),
                spec=spec,
                parsed=parsed,
                now=now,
                token_id=token_id(request),
                quoted=quote.rules,
            )
            transaction.set_rollback(True)
    except Problem as problem:
        return " ".join(sentence for _, sentence in problem.errors) or str(problem.detail)
    return ""


def left(period: quotas.PeriodUsage) -> str | None:
    """USD that may still be spent in this period; None where no limit binds."""
    return None if period.usd.remaining is None else usd(period.usd.remaining)


def location(prediction: Prediction) -> str:
    """Where it can be looked at."""
    return f"/api/predictions/{prediction.pk}"
