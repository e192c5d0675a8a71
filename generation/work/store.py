"""Bring one output home: fetch, inspect, keep, enter in the gallery. The provider deletes it within the hour."""

import logging
import math
import tempfile
import time
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from accounts import alerts
from accounts.models import User
from accounts.prepared import Prepared
from accounts.statements import update
from gallery import fetcher, files, library, storage
from gallery.ahead import Ahead
from gallery.faultpoints import faultpoint
from gallery.leases import Claims
from gallery.models import Asset
from generation import catalog, events, lifecycle, providers
from generation.catalog.base import Field
from generation.models import Output, Prediction
from generation.providers.base import NotFound, ProviderError
from generation.work import deletions, spool, store_circuit, unstored
from generation.work.connections import let_go

log = logging.getLogger(__name__)

# The most that a file may have; of a data: URI decoded.
MOST_BYTES = 2 * 1024**3
MOST_DATA_URI_BYTES = 8 * 1024**2
FETCH_SECONDS = 15 * 60
# What was seen of the store before the fetch holds so long.
JUST_SEEN_SECONDS = 2.0
# Answers that will hardly get better, heard this often in a row before the output is given up: that there is no such
# file (asked for under a fresh address the second time), and bytes that are no picture or film.
MOST_TRIES = 4
MOST_UNUSABLE = 2


class Overtaken(Exception):
    """The lease was lost while the file travelled; somebody else brings it home."""


def take(limit: int) -> list[Output]:
    """Lease outputs, oldest expiring first: of what has to be fetched, of what broke off before, of what lies here."""
    return _claims(spool.host()).take(limit)


OWNER = Prepared(
    lambda prediction: (
        Prediction.objects.filter(pk=prediction)
        .annotate(trouble=store_circuit.is_troubled())
        .values("user_id", "user__deletion_asked_at", "trouble")
    ),
    prediction=UUID,
)


@lru_cache
def _claims(here: str) -> Claims:
    rank = Case(
        When(spool_host=here or "-", then=Value(2)),
        When(error_code=unstored.INTERRUPTED, then=Value(1)),
        default=Value(0),
    )
    within_reach = Q(spool_host__in={"", here}) | Q(expires_at__gt=Now())
    # While the store is closed what would only wait for it is left alone, unless its time is over.
    waits = Q(error_code="storage_unavailable") & Q(expires_at__gt=Now())
    worth_a_try = (~waits & Q(spool_host="")) | ~store_circuit.is_closed()
    rows = Output.objects.filter(within_reach | Q(expires_at__lt=Now() - spool.KEPT_ELSEWHERE)).filter(worth_a_try)
    return Claims(lambda: rows, (rank, "expires_at"))


def store(output: Output) -> None:
    """The store lane's step for a leased row."""
    try:
        _bring_home(output)
    except fetcher.Gone:
        _ask_where(output)
    except fetcher.Blocked:
        unstored.try_later(output, "file_refused", patience=1)
    except fetcher.TooLarge:
        unstored.try_later(output, "file_too_large", patience=1)
    except files.UnusableFile:
        # Of a spooled file the provider may have a better copy.
        spool.drop(output)
        unstored.try_later(output, "file_unusable", patience=MOST_UNUSABLE, spool_host="")
    except fetcher.Unwritten as error:
        unstored.try_later_for_room(output, error.__cause__)
    except fetcher.FetchError:
        unstored.try_later(output, unstored.INTERRUPTED)
    except store_circuit.Closed:
        unstored.wait_for_the_store(output)
    except storage.StorageError as error:
        _refused(output, error)
    except Overtaken:
        log.warning("output %s was taken over by another worker", output.pk)
    except OSError as error:
        unstored.try_later_for_room(output, error)
    except OperationalError as error:
        if not unstored.is_full(error):
            raise
        unstored.try_later_for_room(output, error)


def _refused(output: Output, error: storage.StorageError) -> None:
    log.error("output %s could not be stored: %s", output.pk, error)
    if isinstance(error, store_circuit.Refused):
        code = "file_too_large" if error.status == store_circuit.TOO_LARGE else "storage_unavailable"
        unstored.try_later(output, code, pause=unstored.REFUSED_PAUSE_SECONDS)
    elif unstored.is_full(error.__cause__):
        unstored.try_later_for_room(output, error.__cause__)
    else:
        unstored.try_later(output, "storage_unavailable")


def _bring_home(output: Output) -> None:
    [found], seen_at = OWNER(prediction=output.prediction_id), time.monotonic()
    if found["user__deletion_asked_at"]:
        deletions.give_up_files(User(pk=found["user_id"]), now=timezone.now())
        return
    facts, key = _carry(output, found["user_id"], untroubled_at=-math.inf if found["trouble"] else seen_at)
    faultpoint("store.after_put")
    try:
        won = _enter(output, facts, key)
    except Overtaken:
        # Rolled back for certain. After most other faults the commit may have happened, and the file stays.
        _forget(key)
        raise
    except OperationalError as error:
        # Each try would leave another file on a disk that is full.
        if unstored.is_full(error) and not Asset.objects.filter(storage_key=key).exists():
            _forget(key)
        raise
    except Exception:
        # It is paid for, and here: whatever keeps its prediction from being concluded is not to keep it out.
        log.exception("output %s is entered once more, and its prediction looked at later", output.pk)
        won = _enter(output, facts, key, concluding=False)
    if not won:
        _forget(key)
    spool.drop(output)


def _carry(output: Output, owner_id: int, *, untroubled_at: float) -> tuple[files.FileFacts, str]:
    """Fetch the file and put it into the store, of a large one what has come before the rest; not put, it is spooled.

    A store that was not just seen untroubled is asked before whether it takes files. Raises what `fetcher.fetch`,
    `files.inspect`, `spool.keep` and a passage raise.
    """
    folder = Path(settings.DATA_DIR) / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch, ExitStack() as gate:
        new_key = partial(storage.new_key, owner_id=owner_id, output_id=output.pk)
        path, way, ahead = spool.spooled(output), None, None
        if path is None:
            if not _may_wait_here(output):
                way = gate.enter_context(store_circuit.passage())
            path = Path(scratch) / "output"
            ahead = gate.enter_context(Ahead(path, new_key=new_key, may_send=partial(_may_send, way)))
            let_go()
            _fetch(output.url, path, ahead)
            ahead.end()
        faultpoint("store.fetched")
        facts = files.inspect(path, keep_oversized=True, sha256=ahead.sha256() if ahead else "")
        key = (ahead and ahead.key) or new_key(extension=facts.extension)
        try:
            just_seen = time.monotonic() - untroubled_at < JUST_SEEN_SECONDS
            way = way or gate.enter_context(store_circuit.passage(untroubled=just_seen))
            way.put(path=path, key=key, content_type=facts.content_type, ahead=ahead)
            if ahead:
                storage.keep_near(path, key)
        except (store_circuit.Closed, storage.StorageError) as error:
            if unstored.is_full(error.__cause__):
                _forget(key)
            spool.keep(output, path)
            raise
    return facts, key


def _may_wait_here(output: Output) -> bool:
    """Whether there is a place for the fetched file if the store does not take it; was there none, there is none."""
    return output.error_code != "storage_unavailable" and spool.has_room()


def _may_send(way: store_circuit.Passage | None) -> bool:
    """Whether a file may leave while it is still coming: while the store fails only its one probe sends anything."""
    try:
        return way is not None or store_circuit.is_open()
    except DatabaseError:
        # It is fetched all the same, and sent when it is there.
        return False
    finally:
        let_go()


def _fetch(url: str, path: Path, ahead: Ahead) -> None:
    if url[:5].lower() == "data:":
        path.write_bytes(fetcher.decode_data_uri(url, max_bytes=MOST_DATA_URI_BYTES))
        return
    fetcher.fetch(
        url=url,
        to=path,
        max_bytes=MOST_BYTES,
        allowed_hosts=settings.REPLICATE_OUTPUT_HOSTS,
        deadline_seconds=FETCH_SECONDS,
        came=ahead.came,
    )


def _forget(key: str) -> None:
    """Remove a file that no asset names: another worker had brought the output home before."""
    try:
        storage.delete(key)
    except storage.StorageError:
        log.warning("%s stays behind without an asset", key)


def _enter(output: Output, facts: files.FileFacts, key: str, *, concluding: bool = True) -> bool:
    """Make the asset, mark the output stored, conclude after the last; False when another file's asset was there."""
    now = timezone.now()
    with transaction.atomic():
        try:
            prediction, outputs = lifecycle.lock_storing(output.prediction_id)
        except Prediction.DoesNotExist:
            raise Overtaken from None
        asset = library.enter_asset(
            owner_id=prediction.user_id,
            facts=facts,
            storage_key=key,
            snapshot=_snapshot(output, prediction, files=len(outputs) or 1),
            now=now,
        )
        ours = {"pk": output.pk, "lease_token": output.lease_token, "state": Output.State.WAITING}
        changes: dict[str, Any] = {"state": Output.State.STORED, "asset_id": asset.pk, "error_code": ""}
        if not update(Output, ours, **changes, due_at=None, lease_until=None, lease_token=None):
            raise Overtaken
        stored: dict[str, Any] = {"name": "output_stored", "now": now, "data": {"index": output.index}}
        written, event = Output(pk=output.pk, **changes), events.made(prediction=prediction, **stored)
        if not (concluding and lifecycle.conclude(prediction, outputs, now=now, written=written, after=event)):
            events.record(prediction=prediction, **stored)
        faultpoint("store.before_commit")
    faultpoint("store.entered")
    if output.error_code == unstored.DISK_FULL:
        alerts.over("disk_full", now=now)
    if output.error_code in unstored.REFUSED:
        alerts.over("store_refused", now=now)
    return asset.storage_key == key


def _snapshot(output: Output, prediction: Prediction, *, files: int) -> library.Snapshot:
    """What the gallery remembers of how this was made, as one of so many files."""
    made_from: list[str] = []
    for field in _fields(prediction.model):
        if field.kind in ("file", "files") and (given := prediction.input.get(field.name)):
            made_from += [given] if isinstance(given, str) else given
    shown = {name: value for name, value in prediction.input.items() if name != "prompt"}
    return library.Snapshot(
        prediction_id=prediction.pk,
        output_index=output.index,
        frame_number=prediction.number,
        provider=prediction.provider,
        model=prediction.model,
        prompt=prediction.prompt,
        settings=shown,
        seed=prediction.input.get("seed"),
        cost_micros=(prediction.cost_micros or 0) // files,
        made_from=[UUID(asset_id) for asset_id in made_from],
    )


def _fields(model: str) -> tuple[Field, ...]:
    """The model's fields; none for one that has left the catalog since."""
    try:
        return catalog.get(model).fields
    except catalog.UnknownModel:
        return ()


def _ask_where(output: Output) -> None:
    """The host has no such file: ask the provider once for the address, then try a few times more."""
    if output.error_code != "file_expired" and not _renew_address(output):
        # Not asked, so nothing is known that was not known before.
        unstored.try_later(output, unstored.INTERRUPTED)
    else:
        unstored.try_later(output, "file_expired", patience=MOST_TRIES)


def _renew_address(output: Output) -> bool:
    """Write down where the provider says that the file is; False when the provider could not be asked."""
    attempt = output.attempt
    let_go()
    try:
        said = providers.named(attempt.provider).get(attempt.provider_id or "")
    except (NotFound, LookupError):
        return True
    except ProviderError:
        return False
    addresses = catalog.read_output(said.output)
    if output.index < len(addresses):
        Output.objects.filter(pk=output.pk, lease_token=output.lease_token).update(url=addresses[output.index])
    return True
