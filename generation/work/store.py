"""Bring one output home: fetch, inspect, keep, enter in the gallery. The provider deletes it within the hour."""

import logging
import tempfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gallery import fetcher, files, library, storage
from gallery.faultpoints import faultpoint
from gallery.leases import hand_back
from generation import catalog, events, lifecycle, providers
from generation.catalog.base import Field
from generation.models import Output, Prediction
from generation.providers.base import ProviderError
from generation.work import spool
from generation.work.connections import let_go

log = logging.getLogger(__name__)

MOST_BYTES = 2 * 1024**3
FETCH_SECONDS = 15 * 60
# Answers that will hardly get better: heard this often in a row before the output is given up.
MOST_TRIES = 5


class Overtaken(Exception):
    """The lease was lost while the file travelled; somebody else brings it home."""


def store(output: Output) -> None:
    """The store lane's step for a leased row."""
    try:
        _bring_home(output)
    except fetcher.Gone:
        _renew_address(output)
        _later(output, "file_expired", patience=MOST_TRIES)
    except fetcher.Blocked:
        _later(output, "file_refused", patience=1)
    except fetcher.TooLarge:
        _later(output, "file_too_large", patience=1)
    except files.UnusableFile:
        _later(output, "file_unusable", patience=MOST_TRIES)
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
    prediction = Prediction.objects.get(pk=output.prediction_id)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        let_go()
        path = spool.spooled(output) or _fetch(output.url, Path(scratch) / "output")
        faultpoint("store.fetched")
        facts = files.inspect(path)
        key = storage.new_key(owner_id=prediction.user_id, output_id=output.pk, extension=facts.extension)
        try:
            storage.put(path=path, key=key, content_type=facts.content_type)
        except storage.StorageError:
            spool.keep(output, path)
            raise
    faultpoint("store.after_put")
    try:
        won = _enter(output, prediction, facts, key)
    except Overtaken:
        # Rolled back for certain. After any other fault the commit may have happened, and the file stays.
        _forget(key)
        raise
    if not won:
        _forget(key)
    spool.drop(output)


def _fetch(url: str, path: Path) -> Path:
    if url.startswith("data:"):
        path.write_bytes(fetcher.decode_data_uri(url, max_bytes=8 * 1024**2))
        return path
    fetcher.fetch(
        url=url,
        to=path,
        max_bytes=MOST_BYTES,
        allowed_hosts=settings.REPLICATE_OUTPUT_HOSTS,
        deadline_seconds=FETCH_SECONDS,
    )
    return path


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
        faultpoint("store.before_commit")
    faultpoint("store.entered")
    lifecycle.finish_storing(prediction_id=prediction.pk, now=now)
    return asset.storage_key == key


def _snapshot(output: Output, prediction: Prediction) -> library.Snapshot:
    """What the gallery remembers of how this was made."""
    made_from: list[str] = []
    for field in _fields(prediction.model):
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
        made_from=[UUID(asset_id) for asset_id in made_from],
    )


def _fields(model: str) -> tuple[Field, ...]:
    """The model's fields; none for one that has left the catalog since."""
    try:
        return catalog.get(model).fields
    except catalog.UnknownModel:
        return ()


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


def _later(output: Output, code: str, *, patience: int | None = None) -> None:
    """Try again in 1, 2, 4 … 60 seconds, or give the file up.

    That is after `patience` such failures in a row, or when the provider has deleted it, unless it lies in a spool:
    ours, or for a day another host's.
    """
    now = timezone.now()
    tries = output.tries + 1 if output.error_code == code else 1
    kept_until = output.expires_at + (spool.KEPT_ELSEWHERE if output.spool_host else timedelta())
    expired = now >= kept_until and not spool.spooled(output)
    if expired or (patience is not None and tries >= patience):
        with transaction.atomic():
            if hand_back(output, due_at=None, state=Output.State.LOST, error_code=code, tries=tries):
                prediction = Prediction.objects.get(pk=output.prediction_id)
                events.record(prediction=prediction, name="output_lost", now=now, data={"code": code})
        spool.drop(output)
        lifecycle.finish_storing(prediction_id=output.prediction_id, now=now)
        return
    hand_back(output, due_at=now + timedelta(seconds=min(60, 2 ** (tries - 1))), error_code=code, tries=tries)
