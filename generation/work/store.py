"""Bring one output home: fetch, inspect, keep, enter in the gallery. The provider deletes it within the hour."""

import logging
import tempfile
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gallery import fetcher, files, library, storage
from gallery.leases import hand_back
from gallery.models import Asset
from generation import catalog, events, lifecycle, providers
from generation.faultpoints import faultpoint
from generation.models import Output, Prediction
from generation.providers.base import ProviderError

log = logging.getLogger(__name__)

MOST_BYTES = 2 * 1024**3
FETCH_SECONDS = 15 * 60
# Answers that will hardly get better: asked this often before the output is given up.
MOST_TRIES = 3


class Overtaken(Exception):
    """The lease was lost while the file travelled; somebody else brings it home."""


def store(output: Output) -> None:
    """The store lane's step for a leased row."""
    try:
        _bring_home(output)
    except fetcher.Gone:
        _renew_address(output)
        _later(output, "file_expired", final=output.tries + 1 >= MOST_TRIES)
    except fetcher.Blocked:
        _later(output, "file_refused", final=True)
    except fetcher.TooLarge:
        _later(output, "file_too_large", final=True)
    except files.UnusableFile:
        _later(output, "file_unusable", final=output.tries >= 1)
    except fetcher.FetchError:
        _later(output, "file_expired")
    except storage.StorageError as error:
        log.error("output %s could not be stored: %s", output.pk, error)
        _later(output, "storage_unavailable")
    except Overtaken:
        log.warning("output %s was taken over by another worker", output.pk)


def _bring_home(output: Output) -> None:
    folder = Path(settings.DATA_DIR) / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "output"
        _fetch(output.url, path)
        faultpoint("store.fetched")
        facts = files.inspect(path)
        prediction = Prediction.objects.get(pk=output.prediction_id)
        key = storage.new_key(owner_id=prediction.user_id, output_id=output.pk, extension=facts.extension)
        storage.put(path=path, key=key, content_type=facts.content_type)
    faultpoint("store.after_put")
    try:
        won = _enter(output, prediction, facts, key)
    except Overtaken:
        # Rolled back for certain. After any other fault the commit may have happened, and the file stays.
        _forget(key)
        raise
    if not won:
        _forget(key)


def _fetch(url: str, path: Path) -> None:
    if url.startswith("data:"):
        path.write_bytes(fetcher.decode_data_uri(url, max_bytes=8 * 1024**2))
        return
    fetcher.fetch(
        url=url,
        to=path,
        max_bytes=MOST_BYTES,
        allowed_hosts=settings.REPLICATE_OUTPUT_HOSTS,
        deadline_seconds=FETCH_SECONDS,
    )


def _forget(key: str) -> None:
    """Remove a file that no asset names: another worker had brought the output home before."""
    try:
        storage.delete(key)
    except storage.StorageError:
        log.warning("%s stays behind without an asset", key)


def _enter(output: Output, prediction: Prediction, facts: files.FileFacts, key: str) -> bool:
    """Make the asset and mark the output stored; False when an asset of another file was there already."""
    now = timezone.now()
    with transaction.atomic():
        asset = library.enter_asset(
            owner_id=prediction.user_id,
            facts=facts,
            storage_key=key,
            snapshot=_snapshot(output, prediction),
            now=now,
        )
        ours = Output.objects.filter(pk=output.pk, lease_token=output.lease_token, state=Output.State.WAITING)
        if not ours.update(
            state=Output.State.STORED, asset=asset, error_code="", due_at=None, lease_until=None, lease_token=None
        ):
            raise Overtaken
        events.record(prediction=prediction, name="output_stored", now=now, data={"index": output.index})
    lifecycle.finish_storing(prediction_id=prediction.pk, now=now)
    return asset.storage_key == key


def _snapshot(output: Output, prediction: Prediction) -> library.Snapshot:
    """What the gallery remembers of how this was made."""
    spec = catalog.get(prediction.model)
    made_from: list[str] = []
    for field in spec.fields:
        if field.kind in ("file", "files") and (given := prediction.input.get(field.name)):
            made_from += [given] if isinstance(given, str) else given
    shown = {name: value for name, value in prediction.input.items() if name != "prompt"}
    outputs = max(1, Output.objects.filter(prediction=prediction).count())
    return library.Snapshot(
        prediction_id=prediction.pk,
        output_index=output.index,
        frame_number=prediction.number,
        provider=prediction.provider,
        model=prediction.model,
        prompt=prediction.prompt,
        settings=shown,
        seed=prediction.input.get("seed"),
        cost_micros=(prediction.cost_micros or 0) // outputs,
        made_from=list(Asset.objects.filter(pk__in=made_from).values_list("pk", flat=True)),
    )


def _renew_address(output: Output) -> None:
    """Ask the provider once more where the file is; an address that stays is no news."""
    attempt = output.attempt
    try:
        update = providers.named(attempt.provider).get(attempt.provider_id or "")
    except (ProviderError, LookupError):
        return
    addresses = catalog.read_output(update.output)
    if output.index < len(addresses):
        Output.objects.filter(pk=output.pk, lease_token=output.lease_token).update(url=addresses[output.index])


def _later(output: Output, code: str, *, final: bool = False) -> None:
    """Try again in 1, 2, 4 … 60 seconds, or give the file up: at once, or when the provider has deleted it."""
    now = timezone.now()
    if final or now >= output.expires_at:
        with transaction.atomic():
            if hand_back(output, due_at=None, state=Output.State.LOST, error_code=code, tries=output.tries + 1):
                prediction = Prediction.objects.get(pk=output.prediction_id)
                events.record(prediction=prediction, name="output_lost", now=now, data={"code": code})
        lifecycle.finish_storing(prediction_id=output.prediction_id, now=now)
        return
    pause = timedelta(seconds=min(60, 2 ** min(output.tries, 6)))
    hand_back(output, due_at=now + pause, error_code=code, tries=output.tries + 1)
