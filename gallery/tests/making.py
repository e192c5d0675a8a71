"""Assets for tests, with real bytes in the store."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from accounts.models import User
from gallery import derivatives, library, storage
from gallery.files import inspect
from gallery.leases import claim
from gallery.models import Asset
from gallery.tests import samples

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def snapshot(**changes: Any) -> library.Snapshot:
    """How a picture of a lake was made."""
    given: dict[str, Any] = {
        "prediction_id": uuid4(),
        "output_index": 0,
        "frame_number": 461,
        "provider": "replicate",
        "model": "google/nano-banana",
        "prompt": "A still lake at blue hour",
        "settings": {"aspect_ratio": "16:9"},
        "seed": 829114203,
        "cost_micros": 39_000,
    }
    return library.Snapshot(**(given | changes))


def make_asset(
    *, owner: User, content: bytes | None = None, now: datetime = NOW, generated: bool = True, **changes: Any
) -> Asset:
    """A stored picture (or the film in `content`), generated unless said otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(samples.picture() if content is None else content)
        facts = inspect(path)
        key = storage.new_key(owner_id=owner.pk, output_id=uuid4(), extension=facts.extension)
        storage.put(path=path, key=key, content_type=facts.content_type)
    made = snapshot(**changes) if generated else None
    return library.enter_asset(owner_id=owner.pk, facts=facts, storage_key=key, snapshot=made, now=now)


def make_film(*, owner: User, **changes: Any) -> Asset:
    """A stored film of one second."""
    with tempfile.TemporaryDirectory() as folder:
        content = samples.film(Path(folder) / "film.mp4", size=(320, 180)).read_bytes()
    return make_asset(owner=owner, content=content, **changes)


def derived(asset: Asset) -> Asset:
    """The asset once a worker has made its thumbnails."""
    [leased] = claim(Asset.objects.filter(pk=asset.pk))
    derivatives.derive(leased)
    return Asset.objects.get(pk=asset.pk)
