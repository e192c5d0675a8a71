"""What is sent to the provider: our inputs, with each reference picture handed over as a file of the provider's own."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gallery import storage
from gallery.models import Asset
from generation.catalog.base import ModelSpec
from generation.models import Prediction
from generation.providers.base import Provider
from generation.work.connections import let_go


class ReferenceMissing(Exception):
    """A reference is no longer in its owner's gallery."""


def for_provider(*, prediction: Prediction, spec: ModelSpec, provider: Provider) -> dict[str, Any]:
    """The exact input of a create. Talks to storage and provider; raises `ReferenceMissing` and their errors."""
    sent = dict(prediction.input)
    for field in spec.fields:
        given = sent.get(field.name)
        if field.kind == "file" and given:
            sent[field.name] = _hand_over(prediction, given, provider)
        elif field.kind == "files" and given:
            sent[field.name] = [_hand_over(prediction, asset_id, provider) for asset_id in given]
    return sent


def _hand_over(prediction: Prediction, asset_id: str, provider: Provider) -> str:
    asset = Asset.objects.for_owner(prediction.user).filter(pk=asset_id).first()
    if asset is None:
        raise ReferenceMissing(asset_id)
    name = f"{asset.pk}.{asset.storage_key.rpartition('.')[2]}"
    let_go()
    with storage.as_file(asset.storage_key) as path, path.open("rb") as file:
        return provider.as_input(name=name, content_type=asset.content_type, file=file, size_bytes=asset.size_bytes)


def fingerprint(model: str, sent: Mapping[str, Any]) -> str:
    """SHA-256 of model and exact input: what two creates that the provider cannot tell apart have in common."""
    text = json.dumps([model, sent], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
