"""Batches over HTTP: ask for up to fifty generations in one call, and look at all of them in one."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.conditional import ETAG, UNCHANGED, conditional
from accounts.api.openapi import JSON, answer, header, operation
from accounts.api.problems import Problem
from accounts.api.rates import count_headers, told
from accounts.api.scopes import Scopes
from accounts.models import User
from accounts.moments import moment
from accounts.money import usd
from generation.api import asking
from generation.api.asking import Asked
from generation.api.doors import KEY_PARAMETER, doors, idempotency_key
from generation.api.requests import body, caller, token_id
from generation.api.shapes import ID, IMAGE_EXAMPLE, VIDEO_EXAMPLE, WORDS, PredictionSerializer
from generation.lifecycle.batches import MOST_IN_BATCH, Item, find_repeated_batch, request_batch
from generation.models import Batch, Prediction
from generation.presentation import tell_all, with_all_told
from generation.states import OUTSIDE, UNFINISHED, Status

REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/GenerationRequest"},
            "minItems": 1,
            "maxItems": MOST_IN_BATCH,
        }
    },
    "required": ["items"],
    "additionalProperties": False,
}


class BatchItemSerializer(serializers.Serializer[Any]):
    """One generation of the batch, in the order of the request."""

    predictionId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=WORDS)
    estimatedCost = serializers.CharField(help_text="USD")
    warnings = serializers.ListField(child=serializers.CharField())


class BatchAcceptedSerializer(serializers.Serializer[Any]):
    """A batch that was let in, whole."""

    batchId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["processing", "finished"])
    estimatedCost = serializers.CharField(help_text="USD, of all together")
    items = BatchItemSerializer(many=True)


class BatchSerializer(serializers.Serializer[Any]):
    """A batch as it stands."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["processing", "finished"], help_text="Finished when all have ended.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="How many have each status.")
    estimatedCost = serializers.CharField(help_text="USD, of all together")
    cost = serializers.CharField(help_text="USD, of those whose money has moved")
    createdAt = serializers.DateTimeField()
    predictions = PredictionSerializer(many=True)


class Batches(APIView):
    """POST: ask for several generations, all or none."""

    required_scopes: ClassVar[Scopes] = {"POST": "generate"}

    @operation(
        "createBatch",
        "Ask for up to fifty pictures and films, all or none",
        answers={201: answer("All are let in, or were by the same key.", BatchAcceptedSerializer)},
        refusals=(402, 429),
        request={JSON: REQUEST},
        parameters=[KEY_PARAMETER, header("Location", "Its one address.", on=[201], required=True), *told(201)],
        examples=[
            OpenApiExample("two", {"items": [IMAGE_EXAMPLE.value, VIDEO_EXAMPLE.value]}, request_only=True),
            OpenApiExample(
                "let in",
                {
                    "batchId": ID,
                    "status": "processing",
                    "estimatedCost": "0.039",
                    "items": [{"predictionId": ID, "status": "starting", "estimatedCost": "0.039", "warnings": []}],
                },
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        now, key, user = timezone.now(), idempotency_key(request), caller(request)
        asked = read_items(body(request))
        raws = [{"model": each.spec.id, **each.raw} for each in asked]
        with doors(now):
            # First, so that a repeat finds what it made also when its quotes have expired since.
            batch = find_repeated_batch(user=user, model=asked[0].spec.id, asked=raws, idempotency_key=key, now=now)
            if batch is None:
                batch = request_batch(
                    user=user,
                    items=complete_items(asked, user=user, now=now),
                    asked=raws,
                    now=now,
                    idempotency_key=key,
                    token_id=token_id(request),
                )
        headers = {"Location": f"/api/batches/{batch.pk}"} | count_headers(user=user, now=now)
        return Response(accepted(batch), status=201, headers=headers)


class OneBatch(APIView):
    """GET: one batch with all its predictions."""

    required_scopes: ClassVar[Scopes] = {"GET": "read"}

    @operation("getBatch", "Look at a batch", answers={200: BatchSerializer} | UNCHANGED, parameters=ETAG)
    def get(self, request: Request, id: str) -> Response:
        batch = get_object_or_404(Batch, user=caller(request), pk=id)
        rows = list(with_all_told(predictions_of(batch)))
        whole = {
            "id": str(batch.pk),
            "status": status(rows),
            "counts": dict(sorted(Counter(OUTSIDE[Status(row.status)] for row in rows).items())),
            "estimatedCost": usd(sum(row.estimated_micros for row in rows)),
            "cost": usd(sum(row.cost_micros or 0 for row in rows)),
            "createdAt": moment(batch.created_at),
            "predictions": tell_all(rows),
        }
        return conditional(request, whole)


def read_items(given: dict[str, Any]) -> list[Asked]:
    """Every item read; raises `Problem` (400, 422) with what is wrong with each, under `items.3.prompt`."""
    if unknown := sorted(given.keys() - {"items"}):
        raise Problem(status=400, errors=[(name, "This is not taken here.") for name in unknown])
    items = given.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_IN_BATCH:
        raise Problem(status=422, errors=[("items", f"Give a list of 1 to {MOST_IN_BATCH} generations.")])
    shapeless = [place for place, item in enumerate(items) if not isinstance(item, dict)]
    if shapeless:
        raise Problem(status=422, errors=[(f"items.{place}", "An object is expected here.") for place in shapeless])
    return each_or_all(lambda item: asking.read(item, type=None), items)


def complete_items(asked: Sequence[Asked], *, user: User, now: Any) -> list[Item]:
    """Every item checked, before the references of any are brought in; raises `Problem`."""
    held = each_or_all(lambda each: asking.held(each, user=user, now=now), asked)
    each_or_all(lambda each: asking.priced(each, user=user), asked)
    parsed = each_or_all(lambda each: asking.complete(each, user=user, now=now), asked)
    return [
        Item(each.spec, inputs, quote.rules if quote else None)
        for each, inputs, quote in zip(asked, parsed, held, strict=True)
    ]


def each_or_all(work: Any, items: Sequence[Any]) -> list[Any]:
    """`work` of each; a `Problem` by field is raised once for all items, another one at once."""
    done, errors = [], []
    for place, item in enumerate(items):
        try:
            done.append(work(item))
        except Problem as problem:
            if problem.status_code != 422:
                raise
            errors += [(f"items.{place}.{field}", sentence) for field, sentence in problem.errors]
    if errors:
        raise Problem(status=422, errors=errors)
    return done


def predictions_of(batch: Batch) -> Any:
    """Its predictions in their order."""
    return Prediction.objects.filter(batch_item__batch=batch).order_by("batch_item__position")


def accepted(batch: Batch) -> dict[str, Any]:
    """What was let in."""
    rows = list(predictions_of(batch))
    return {
        "batchId": str(batch.pk),
        "status": status(rows),
        "estimatedCost": usd(sum(row.estimated_micros for row in rows)),
        "items": [
            {
                "predictionId": str(row.pk),
                "status": OUTSIDE[Status(row.status)],
                "estimatedCost": usd(row.estimated_micros),
                "warnings": row.warnings,
            }
            for row in rows
        ],
    }


def status(rows: Sequence[Prediction]) -> str:
    """Whether any of them has still to end."""
    return "processing" if any(row.status in UNFINISHED for row in rows) else "finished"
