"""Drafts of the composer: kept per creator and model, so that they outlive a reload and reach another device."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from accounts.models import User
from generation.catalog.base import ModelSpec
from generation.catalog.parsing import UNSTORABLE
from generation.models import Draft, Prediction

# Ten thousand characters of prompt in any script, and all references; nobody writes more by hand.
MOST_BYTES: Final = 64 * 1024


def keep_draft(*, user: User, spec: ModelSpec, values: Mapping[str, Any], key: str, now: datetime) -> bool:
    """Remember what stands in the form; False where it is not kept.

    `key` is the form's: what arrives after the form was sent is what was sent, and no draft any more. Neither is what
    is too large to have been written by hand. An empty form leaves no draft.
    """
    if not _written(spec, values):
        Draft.objects.filter(user=user, model=spec.id).update(values={}, changed_at=now)
        return False
    if not _storable(values):
        return False
    sent = Prediction.objects.for_owner(user).filter(idempotency_key=key)
    if sent.exists():
        return False
    draft = Draft(user=user, model=spec.id, values=dict(values), changed_at=now)
    Draft.objects.bulk_create(
        [draft], update_conflicts=True, unique_fields=["user", "model"], update_fields=["values", "changed_at"]
    )
    if not sent.exists():
        return True
    # Sent between the look and the writing, when whoever sent it had forgotten the draft already.
    Draft.objects.filter(user=user, model=spec.id, changed_at=now).delete()
    return False


def move_draft(
    *, user: User, old: ModelSpec, new: ModelSpec, values: Mapping[str, Any], key: str, now: datetime
) -> bool:
    """What stands in the form goes with it to another model; False where nothing can be taken along.

    Left where it was, it would come back as a draft after it was sent with the new one.
    """
    if not _written(new, values) or not keep_draft(user=user, spec=new, values=values, key=key, now=now):
        return False
    Draft.objects.filter(user=user, model=old.id).update(values={}, changed_at=now)
    return True


def drafts_of(*, user: User) -> dict[str, dict[str, Any]]:
    """What was written by model, the newest first; one statement."""
    rows = Draft.objects.filter(user=user).order_by("-changed_at", "-pk").values_list("model", "values")
    return {model: dict(values) for model, values in rows if values}


def forget_draft(*, user: User, spec: ModelSpec) -> None:
    """What was sent is no draft any more, nor is what was cleared before it."""
    Draft.objects.filter(user=user, model=spec.id).delete()


def clear_draft(*, user: User, spec: ModelSpec, values: Mapping[str, Any], now: datetime) -> bool:
    """Put aside `values`, what stands in the form; whether something can be brought back.

    Clearing an empty form puts nothing in the place of what was put aside before. What cannot be kept is gone.
    """
    if not _written(spec, values):
        Draft.objects.filter(user=user, model=spec.id).update(values={}, changed_at=now)
        return Draft.objects.filter(user=user, model=spec.id, before__isnull=False).exists()
    before = dict(values) if _storable(values) else None
    draft = Draft(user=user, model=spec.id, values={}, before=before, changed_at=now)
    Draft.objects.bulk_create(
        [draft],
        update_conflicts=True,
        unique_fields=["user", "model"],
        update_fields=["values", "before", "changed_at"],
    )
    return before is not None


def restore_draft(*, user: User, spec: ModelSpec, now: datetime) -> bool:
    """Bring back what was cleared last; False when there is nothing to bring back."""
    row = Draft.objects.filter(user=user, model=spec.id, before__isnull=False).first()
    if row is None:
        return False
    found = Draft.objects.filter(pk=row.pk, before__isnull=False)
    return bool(found.update(values=row.before, before=None, changed_at=now))


def _written(spec: ModelSpec, values: Mapping[str, Any]) -> bool:
    """Whether anything stands there that a form which nobody has touched has not."""
    untouched = {item.name: str(item.default).lower() for item in spec.fields if item.default is not None}
    return any(value and str(value).lower() != untouched.get(name) for name, value in values.items())


def _storable(values: Mapping[str, Any]) -> bool:
    texts = [text for value in values.values() for text in (value if isinstance(value, list) else [value])]
    if any(UNSTORABLE.search(str(text)) for text in texts):
        return False
    return len(json.dumps(values, ensure_ascii=False).encode()) <= MOST_BYTES
