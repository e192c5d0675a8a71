"""Reference pictures: whatever a creator may name one by becomes the id of an asset of theirs, or is refused.

An asset id stays, a data: URI and an https address are uploaded. Every refusal reads the same: whether an address
is closed, slow, private or not a picture is nothing that a request may find out about a network.
"""

import logging
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.utils.translation import gettext, gettext_noop

from accounts.models import User
from gallery import fetcher, files, library
from gallery.models import Asset
from gallery.storage import StorageError
from generation.catalog.base import Field, InvalidInput, ModelSpec

log = logging.getLogger(__name__)

REFUSAL: Final = gettext_noop(
    "This reference cannot be used. Accepted are the id of a picture in your gallery, an https address of a picture "
    "of at most 20 MB, or a data: URI of a picture of at most 8 MiB."
)
ASSET_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
LONGEST_ADDRESS: Final = 2048
LONGEST_DATA_URI: Final = library.DATA_URI_BYTES * 4 // 3 + 200


class TooManyFetches(InvalidInput):
    """More references brought in than a minute allows; `retry_after_seconds` says when there is room again."""

    def __init__(self, field: str, *, retry_after_seconds: int) -> None:
        super().__init__(
            {
                field: [
                    gettext("At most %(most)s references a minute are brought in. Wait a moment.")
                    % {"most": library.IMPORTS_PER_MINUTE}
                ]
            }
        )
        self.retry_after_seconds = retry_after_seconds


class ReferencesClosed(InvalidInput):
    """The storage cannot take an upload just now; not the reference's fault."""

    def __init__(self, field: str) -> None:
        super().__init__({field: [gettext("The reference could not be saved just now. Please try again in a minute.")]})


def resolve(*, user: User, spec: ModelSpec, raw: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`raw` with each reference replaced by the id of an asset of `user`'s.

    Talks to the network and the storage, so call it outside a transaction and after everything else is known to be
    right (`stand_in`). Raises `InvalidInput` for the field, in one sentence whatever the cause.
    """
    given = checked(user, spec, raw)
    resolved = dict(raw)
    for field, values in given:
        ids = [asset_id(user, field, value, now) for value in values]
        resolved[field.name] = ids if field.kind == "files" else ids[0]
    return resolved


def stand_in(*, user: User, spec: ModelSpec, raw: Mapping[str, Any]) -> dict[str, Any]:
    """`raw` with an id that is nobody's for each reference that is to be brought in, without a fetch or an upload.

    For a price, and for checking all other input first. Raises `InvalidInput` as `resolve` does.
    """
    replaced = dict(raw)
    for field, values in checked(user, spec, raw):
        ids = [value if is_asset_id(value) else str(uuid.uuid4()) for value in values]
        replaced[field.name] = ids if field.kind == "files" else ids[0]
    return replaced


def checked(user: User, spec: ModelSpec, raw: Mapping[str, Any]) -> list[tuple[Field, list[str]]]:
    """The references given, with their fields; raises `InvalidInput` for what can be refused without bringing it in.

    Their number is bounded before any is looked at.
    """
    found = []
    for field in spec.fields:
        value = raw.get(field.name)
        if field.kind not in ("file", "files") or value in (None, "", []):
            continue
        values = value if field.kind == "files" and isinstance(value, list) else [value]
        if field.kind == "files" and field.most is not None and len(values) > field.most:
            raise InvalidInput(
                {field.name: [gettext("At most %(most)s references are accepted.") % {"most": field.most}]}
            )
        if not all(isinstance(item, str) and well_formed(item) for item in values):
            raise InvalidInput({field.name: [gettext(REFUSAL)]})
        if not owned(user, [item for item in values if is_asset_id(item)]):
            raise InvalidInput({field.name: [gettext(REFUSAL)]})
        found.append((field, values))
    return found


def is_asset_id(value: str) -> bool:
    """Whether `value` is written like the id of an asset."""
    return ASSET_ID.fullmatch(value) is not None


def well_formed(value: str) -> bool:
    """Whether `value` is one of the three things that name a reference."""
    if value.startswith("data:"):
        return len(value) <= LONGEST_DATA_URI
    return is_asset_id(value) or (value.startswith("https://") and len(value) <= LONGEST_ADDRESS)


def owned(user: User, ids: list[str]) -> bool:
    """Whether all of `ids` are pictures of `user`'s that are not in the trash."""
    wanted = {uuid.UUID(value) for value in ids}
    mine = Asset.objects.for_owner(user).kept().filter(kind=Asset.Kind.IMAGE, pk__in=wanted)
    return not wanted or mine.count() == len(wanted)


def asset_id(user: User, field: Field, value: str, now: datetime) -> str:
    """The id of the asset that `value` names or becomes."""
    return str(uuid.UUID(value)) if is_asset_id(value) else str(bring_in(user, field, value, now).pk)


def bring_in(user: User, field: Field, value: str, now: datetime) -> Asset:
    """Upload what is behind a data: URI or an https address."""
    if value.startswith("https://"):
        count_fetch(user, field, now)
        if not connection.in_atomic_block:
            # Waiting for a stranger's server, we keep no connection of the pool from others.
            connection.close()
    try:
        return library.import_reference(owner=user, source=value, now=now)
    except files.UnusableFile as error:
        # Says nothing of what was named, only of who asks.
        raise InvalidInput({field.name: [error.sentence if error.code == "quota_full" else gettext(REFUSAL)]}) from None
    except fetcher.FetchError:
        raise InvalidInput({field.name: [gettext(REFUSAL)]}) from None
    except library.TooManyImports:
        raise TooManyFetches(field.name, retry_after_seconds=60) from None
    except StorageError:
        raise ReferencesClosed(field.name) from None


def count_fetch(user: User, field: Field, now: datetime) -> None:
    """One more address for `user` in this minute, whatever comes of it; raises `TooManyFetches`."""
    key, count = f"reference-fetches:{user.pk}:{int(now.timestamp()) // 60}", 0
    with cache_may_be_away():
        cache.add(key, 0, timeout=120)
        count = cache.incr(key)
    if count > library.IMPORTS_PER_MINUTE:
        raise TooManyFetches(field.name, retry_after_seconds=60 - int(now.timestamp()) % 60)


@contextmanager
def cache_may_be_away() -> Iterator[None]:
    """Go on without the cache: what came of every fetch is in the database, and that is counted too."""
    try:
        yield
    except DatabaseError:
        raise
    except Exception as error:
        # Each backend has errors of its own.
        log.warning("the cache does not answer: %s", type(error).__name__)
