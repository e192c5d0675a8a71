"""More of everything that one user has: copies of the rows that `things` made one of."""

import copy
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import Model
from uuid6 import uuid7

from accounts.models import ApiToken, User
from gallery.models import Asset, Collection, CollectionItem, OwnCategory, ShareLink, Tag, Tagging
from generation.models import (
    Attempt,
    BatchItem,
    OutgoingMessage,
    Output,
    Prediction,
    WebhookEndpoint,
)
from generation.states import Status

Row = TypeVar("Row", bound=Model)


def grow(owner: User, *, first: int, last: int) -> None:
    """As if the owner had made, kept and asked for everything `last` times; so far it was `first` times."""
    numbers = range(first, last)
    assets = _assets(owner, numbers)
    _predictions(owner, numbers, assets)
    for model in (Tag, OwnCategory, Collection):
        made: Any = model
        made.objects.bulk_create([made(owner=owner, **_named(made, number, owner)) for number in numbers])
    for number in numbers:
        unlike = {"id": uuid7(), "digest": f"{number:064}"}
        _again(ApiToken.objects.filter(user=owner).first(), **unlike, name=f"ci {number}")
        _again(ShareLink.objects.filter(owner=owner).first(), **unlike)
        message = OutgoingMessage.objects.filter(endpoint__user=owner).last()
        _again(message, id=uuid7())
        _again(WebhookEndpoint.objects.filter(messages=message).first(), id=uuid7())


def _named(model: Any, number: int, owner: User) -> dict[str, Any]:
    more = {"created_at": owner.date_joined} if model is Collection else {}
    return {"name": f"{model.__name__} {number}", **more}


def _assets(owner: User, numbers: range) -> list[Asset]:
    """Each made from the first one, with its tag and in its collection."""
    pattern = Asset.objects.filter(owner=owner).earliest("created_at")
    tag, collection = Tag.objects.filter(owner=owner).first(), Collection.objects.filter(owner=owner).first()
    made = []
    for number in numbers:
        at = pattern.created_at + timedelta(minutes=number)
        unlike = {"id": uuid7(), "created_at": at, "storage_key": f"{pattern.storage_key}.{number}"}
        made.append(_again(pattern, **unlike, prediction_id=None, reference_name=f"lake-{number}"))
        pattern.made_into.add(made[-1])
        pattern.made_from.add(made[-1])
    Tagging.objects.bulk_create([Tagging(asset=one, tag=tag, created_at=one.created_at) for one in made])
    items = [CollectionItem(asset=one, collection=collection, created_at=one.created_at) for one in made]
    CollectionItem.objects.bulk_create(items)
    return made


def _predictions(owner: User, numbers: range, assets: list[Asset]) -> None:
    """By turns one that waits, one that has failed, and one that has made an asset."""
    pattern = Prediction.objects.filter(user=owner).earliest("created_at")
    attempt, event = pattern.attempts.get(), pattern.events.first()
    batch = owner.batches.get()
    for number, asset in zip(numbers, assets, strict=True):
        status = (Status.QUEUED, Status.FAILED, Status.SUCCEEDED)[number % 3]
        at = pattern.created_at - timedelta(minutes=number)
        unlike = {"id": uuid7(), "number": 1000 + number, "created_at": at, "status": status}
        made = _again(pattern, **unlike, due_at=None if number % 3 else at, batch_item=None)
        tried: Attempt = _again(attempt, id=uuid7(), prediction=made)
        for _ in range(2):
            _again(event, id=None, prediction=made)
        if status == Status.SUCCEEDED:
            facts: dict[str, Any] = {"state": "stored", "asset": asset, "expires_at": at}
            Output.objects.create(prediction=made, attempt=tried, index=0, url="https://example.org/", **facts)
        BatchItem.objects.create(batch=batch, prediction=made, position=number)


def _again(row: Row | None, **changes: Any) -> Row:
    """A copy of `row` in the table, with these changes."""
    assert row is not None
    made = copy.copy(row)
    made._state = copy.copy(row._state)
    made._state.adding, made._state.fields_cache = True, {}
    for name, value in changes.items():
        setattr(made, name, value)
    made.save(force_insert=True)
    return made
