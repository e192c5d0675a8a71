"""Up to fifty generations in one call: all of them are let in together, or none."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from accounts.models import User
from gallery.faultpoints import faultpoint
from generation.catalog.base import ModelSpec, Parsed
from generation.lifecycle.asking import find_repeat, request_prediction
from generation.models import Batch, BatchItem, Prediction

MOST_IN_BATCH: Final = 50


@dataclass(frozen=True)
class Item:
    """One generation of a batch; `quoted` are the price rules that were shown for it, None for the day's."""

    spec: ModelSpec
    parsed: Parsed
    quoted: Sequence[dict[str, Any]] | None = None


class _Repeated(Exception):
    """The same call came at the same moment, and won."""


def request_batch(
    *,
    user: User,
    items: Sequence[Item],
    asked: Sequence[Mapping[str, Any]],
    now: datetime,
    idempotency_key: str | None = None,
    token_id: uuid.UUID | None = None,
) -> Batch:
    """Reserve the money of all and put all in the queue, in one transaction and without network.

    `asked` are the requests as they were given. The same key with the same requests answers the batch that it made
    first. Raises what `request_prediction` raises, for the first that is not let in; then nothing has changed.
    """
    try:
        with transaction.atomic():
            batch = Batch.objects.create(user=user, created_at=now)
            open_to: set[str] = set()
            for position, item in enumerate(items):
                prediction = request_prediction(
                    user=user,
                    spec=item.spec,
                    parsed=item.parsed,
                    now=now,
                    # The first carries the key, so that one key stands for one call of whichever kind.
                    idempotency_key=idempotency_key if position == 0 else None,
                    asked=whole(asked) if position == 0 else None,
                    token_id=token_id,
                    quoted=item.quoted,
                    doors_passed=item.spec.id in open_to,
                )
                open_to.add(item.spec.id)
                if not prediction.was_created:
                    raise _Repeated
                BatchItem.objects.create(batch=batch, prediction=prediction, position=position)
            faultpoint("ask.before_commit")
    except _Repeated:
        return _batch_of(prediction)
    return batch


def find_repeated_batch(
    *, user: User, model: str, asked: Sequence[Mapping[str, Any]], idempotency_key: str | None, now: datetime
) -> Batch | None:
    """What this key has made of the same requests, the first of which is for `model`; raises `IdempotencyConflict`."""
    prediction = find_repeat(user=user, model=model, asked=whole(asked), idempotency_key=idempotency_key, now=now)
    return _batch_of(prediction) if prediction else None


def whole(asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All requests as one, which no single generation is like."""
    return {"batch": [dict(each) for each in asked]}


def _batch_of(prediction: Prediction) -> Batch:
    return Batch.objects.get(items__prediction=prediction)
