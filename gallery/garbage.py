"""What the store holds for nobody, what rows lack in the store, and what is on its way out: one pass over all of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from gallery import audit, purging, storage
from gallery.models import DiscardedObject


@dataclass
class Findings:
    """`seen` is what was found and done, `orphans` the keys of objects without a row, `wrong` what needs a person."""

    seen: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def collect(*, now: datetime, older_than: timedelta = audit.ORPHAN_AFTER, keep: bool = False) -> Findings:
    """Compare store and rows both ways, and delete what is nobody's: objects older than `older_than`, dead uploads.

    With `keep` nothing is deleted and no row changes. Raises StorageError; what was deleted until then stays deleted.
    """
    findings = Findings()
    _discarded(findings, now, keep)
    _orphans(findings, now, older_than, keep)
    uploads = storage.abort_stale_uploads(begun_before=now - audit.UPLOAD_ENDS_WITHIN, keep=keep)
    findings.seen.append(f"{uploads} abandoned uploads{'' if keep else ' taken back'}")
    _rows(findings, now, keep)
    return findings


def _discarded(findings: Findings, now: datetime, keep: bool) -> None:
    deleted = 0
    while not keep and (count := purging.delete_discarded(now=now)):
        deleted += count
    left = DiscardedObject.objects.count()
    done = "" if keep else f"{deleted} objects of purged assets deleted, "
    findings.seen.append(f"{done}{left} objects of purged assets are still to be deleted")


def _orphans(findings: Findings, now: datetime, older_than: timedelta, keep: bool) -> None:
    found = audit.collect_orphans(now=now, older_than=older_than, keep=keep)
    findings.orphans += found.suspects
    if found.withheld:
        findings.wrong.append(f"{found.found} objects have no asset, more than have one: none is deleted")
    else:
        done = "" if keep else f"; {found.deleted} of them deleted"
        findings.seen.append(f"{found.found} objects have no asset{done}")


def _rows(findings: Findings, now: datetime, keep: bool) -> None:
    looked_at = remade = 0
    for batch in _audits(now, keep):
        looked_at += batch.looked_at
        remade += batch.remade
        findings.wrong += batch.missing
    findings.seen.append(f"the files of {looked_at} assets looked at")
    if remade:
        done = "lack a thumbnail or poster" if keep else "get a new thumbnail or poster for one that was gone"
        findings.seen.append(f"{remade} assets {done}")


def _audits(now: datetime, keep: bool) -> Iterator[audit.Audit]:
    last: UUID | None = None
    while True:
        batch = audit.audit(now=now, after=last, keep=keep)
        yield batch
        if (last := batch.last) is None:
            return
