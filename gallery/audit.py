"""Whether every asset has its object, whole, and every object that has lain for a day its asset."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts import alerts
from accounts.models import Alert
from gallery import storage
from gallery.models import Asset, AssetQuerySet, DiscardedObject

BATCH = 200
# Objects asked for at a time.
AT_ONCE = 8
PAGE = 500
# A younger object's asset may still be on its way.
ORPHAN_AFTER = timedelta(hours=24)
# An upload of 2 GiB may take long, but not that long.
UPLOAD_ENDS_WITHIN = timedelta(hours=1)
# Of one pass; the next goes on.
MOST_ORPHANS = 1000
# As many may be orphans of crashes, however few assets there are.
FEW_ORPHANS = 50
DERIVED = ("thumbnail_key", "poster_key", "preview_key")
KEYS = ("storage_key", *DERIVED, "thumbnails")


@dataclass
class Audit:
    """`missing` has a sentence for each asset without its object; `last` is the asset to go on after, None at the end.

    `remade` counts assets of whose derivatives one was gone, so that they are due again.
    """

    looked_at: int = 0
    missing: list[str] = field(default_factory=list)
    remade: int = 0
    last: UUID | None = None


@dataclass(frozen=True)
class Orphans:
    """How many objects no asset names, and how many of them were deleted; `suspects` are the keys of the first.

    `withheld`: they are more than what assets name, so that the database is rather the wrong one.
    """

    found: int
    deleted: int
    withheld: bool
    suspects: Sequence[str] = field(default=(), compare=False)


def audit(*, now: datetime, after: UUID | None = None, limit: int | None = None, keep: bool = False) -> Audit:
    """Look at the objects of a batch of assets, flag those that are missing or cut short, unflag what is back.

    With `keep` no row changes. Raises StorageError when the store cannot say; then nothing is flagged.
    """
    rows = Asset.objects.filter(pk__gt=after) if after else Asset.objects.all()
    found = _audit(rows, now, limit or BATCH, keep=keep)
    if not keep:
        _tell_of_missing(now)
    return found


def audit_missing(*, now: datetime) -> Audit:
    """Look again at what is flagged, at most a batch of it. Raises StorageError."""
    found = _audit(Asset.objects.exclude(missing_at=None), now, BATCH)
    _tell_of_missing(now)
    return found


def look_at(asset: Asset, *, now: datetime) -> None:
    """Flag or unflag one asset whose file is ours to look at; a look into the store over the network is not worth it.

    `asset.missing_at` is then what the row says. A store that cannot say changes nothing.
    """
    if not storage.is_local():
        return
    try:
        size = storage.size_of(asset.storage_key)
    except storage.StorageError:
        return
    if (size == asset.size_bytes) is (asset.missing_at is None):
        return
    _judge(asset, size, now)
    asset.missing_at = None if size == asset.size_bytes else now
    _tell_of_missing(now)


def collect_orphans(*, now: datetime, older_than: timedelta = ORPHAN_AFTER, keep: bool = False) -> Orphans:
    """Delete objects older than `older_than` that no asset names, at most `MOST_ORPHANS`; with `keep`, count them.

    Raises StorageError; what was deleted until then stays deleted.
    """
    suspects, found, named = _suspects(now - older_than)
    withheld = found > max(named, FEW_ORPHANS)
    deleted = 0
    for key in [] if keep or withheld else suspects:
        # Once more: it may have been entered since the page was read.
        if key not in _named([key]):
            storage.delete(key)
            deleted += 1
    return Orphans(found, deleted, withheld, suspects)


def _audit(rows: AssetQuerySet, now: datetime, limit: int, *, keep: bool = False) -> Audit:
    # A bucket that is not there would answer for every object that it is not there.
    storage.check()
    assets = list(rows.only("size_bytes", "missing_at", "due_at", *KEYS).order_by("pk")[:limit])
    sizes = _sizes([key for asset in assets for key in (asset.storage_key, *asset.derived_keys())])
    found = Audit(looked_at=len(assets), last=assets[-1].pk if len(assets) == limit else None)
    for asset in assets:
        size = sizes[asset.storage_key]
        if wrong := _wrong(asset, size) if keep else _judge(asset, size, now):
            found.missing.append(wrong)
        else:
            found.remade += bool(_gone(asset, sizes)) if keep else _remake(asset, sizes, now)
    return found


def _sizes(keys: Collection[str]) -> dict[str, int | None]:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="audit") as pool:
        return dict(zip(keys, pool.map(storage.size_of, keys), strict=True))


def _judge(asset: Asset, size: int | None, now: datetime) -> str:
    """Write down what was found; a sentence when the object is not what the row says."""
    rows = Asset.objects.filter(pk=asset.pk, storage_key=asset.storage_key, size_bytes=asset.size_bytes)
    if size == asset.size_bytes:
        if asset.missing_at:
            rows.update(missing_at=None)
        return ""
    rows.filter(missing_at=None).update(missing_at=now)
    if not rows.exists():
        # Deleted since it was read, and its object with it.
        return ""
    return _wrong(asset, size)


def _wrong(asset: Asset, size: int | None) -> str:
    """A sentence when the object is not what the row says."""
    if size == asset.size_bytes:
        return ""
    what = "is missing" if size is None else f"has {size} bytes instead of {asset.size_bytes}"
    return f"the file of asset {asset.pk} {what}: {asset.storage_key}"


def _remake(asset: Asset, sizes: dict[str, int | None], now: datetime) -> bool:
    """Let derivatives be made anew whose objects are gone; what is due anyway writes keys of its own."""
    gone = _gone(asset, sizes)
    if not gone:
        return False
    changes: dict[str, Any] = {name: "" for name in DERIVED if getattr(asset, name) in gone}
    changes["thumbnails"] = {width: key for width, key in asset.thumbnails.items() if key not in gone}
    rows = Asset.objects.filter(pk=asset.pk, due_at=None, **{name: getattr(asset, name) for name in DERIVED})
    return rows.update(**changes, due_at=now, claims=0) == 1


def _gone(asset: Asset, sizes: dict[str, int | None]) -> set[str]:
    return {key for key in asset.derived_keys() if not sizes[key]}


def _tell_of_missing(now: datetime) -> None:
    """Administrators hear of each newly missing file, and not every hour of one that nobody can bring back."""
    flagged = Asset.objects.exclude(missing_at=None)
    first = flagged.order_by("missing_at", "pk").first()
    if first is None:
        alerts.over("objects_missing", now=now)
        return
    open_alert = Alert.objects.filter(name="objects_missing", over_at=None).first()
    if open_alert is None or flagged.filter(missing_at__gt=open_alert.last_at).exists():
        detail = f"{flagged.count()} files are missing from the store or cut short; the first is that of {first.pk}."
        alerts.note("objects_missing", detail, now=now)


def _suspects(older_than: datetime) -> tuple[list[str], int, int]:
    """Keys of old objects that no asset names, how many there are of these, and of those that are named."""
    suspects: list[str] = []
    found = named = 0
    ours = (item for item in storage.listing() if storage.is_our_key(item.key) and item.modified_at < older_than)
    for page in _pages(item.key for item in ours):
        unnamed = set(page) - _named(page)
        found += len(unnamed)
        named += len(page) - len(unnamed)
        suspects += sorted(unnamed)[: MOST_ORPHANS - len(suspects)]
    return suspects, found, named


def _pages(keys: Iterable[str]) -> Iterator[list[str]]:
    keys = iter(keys)
    while page := list(islice(keys, PAGE)):
        yield page


def _named(keys: Collection[str]) -> set[str]:
    """What assets with any of `keys` name: these, and perhaps others of their own; and what is being deleted anyway.

    Derivatives have no index of their own: each key says whose it is.
    """
    rows = Asset.objects.filter(Q(storage_key__in=keys) | Q(pk__in=set(filter(None, map(storage.derived_from, keys)))))
    named = {key for asset in rows.order_by().only(*KEYS) for key in (asset.storage_key, *asset.derived_keys())}
    return named | set(DiscardedObject.objects.filter(pk__in=keys).values_list("pk", flat=True))
