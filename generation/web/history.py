"""Prompts of a creator's own past, each once a page, found by their words and read along the index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import Q

from accounts.models import User
from generation.models import Prediction
from generation.web.forms import is_uuid

PAGE: Final = 20
# Nobody searches by more; each costs a comparison a row.
MOST_WORDS: Final = 8
LONGEST: Final = 200


@dataclass(frozen=True)
class History:
    """One page: predictions with different prompts, newest first; `older` is the one after which the next begins."""

    words: str
    predictions: Sequence[Prediction]
    older: UUID | None


def find_prompts(*, user: User, words: str, before: str = "") -> History:
    """The prompts that hold every one of `words`, in any order and any case.

    `before` is the id of the prediction after which the page begins; one that is not the user's begins at the newest.
    """
    words = words[:LONGEST].strip()
    rows = Prediction.objects.for_owner(user).filter(first_run=None, retry_of=None)
    for word in words.split()[:MOST_WORDS]:
        rows = rows.filter(prompt__icontains=word)
    last = Prediction.objects.for_owner(user).filter(pk=before).first() if is_uuid(before) else None
    if last is not None:
        earlier = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        rows = rows.filter(earlier, created_at__lte=last.created_at)
    found = list(rows.only("prompt", "model", "created_at", "number").order_by("-created_at", "-pk")[: PAGE + 1])
    older = found[PAGE - 1].pk if len(found) > PAGE else None
    newest: dict[str, Prediction] = {}
    for row in found[:PAGE]:
        newest.setdefault(row.prompt, row)
    return History(words, list(newest.values()), older)
