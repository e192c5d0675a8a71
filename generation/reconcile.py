"""One pass over everything that may have gone wrong: what was seen, and what stays wrong."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import LedgerEntry
from gallery import audit, purging, storage
from generation import providers
from generation.models import Attempt, Output, Prediction, WebhookDelivery
from generation.providers.base import ProviderError
from generation.states import OPEN_AT_PROVIDER, TERMINAL
from generation.work.again import take_up_again
from generation.work.chores import look_after_given_up
from generation.work.loop import run_once
from generation.work.rounds import recount, sweep
from generation.work.strays import claim_strays

LONGEST = timedelta(minutes=5)
JOBS = (Prediction, Output, WebhookDelivery)


@dataclass
class Findings:
    """`seen` is what was looked at or mended, `wrong` what still needs a person."""

    seen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def reconcile(*, now: datetime, keep_objects: bool = False) -> Findings:
    """Ask provider and store about everything, mend what can be mended, recompute the balances.

    With `keep_objects`, objects that no asset names are only counted.
    """
    findings = Findings()
    _ask(findings, now)
    _look_for_strays(findings)
    _audit(findings)
    _sweep(findings, keep_objects)
    # What was found by then: outputs to be stored, thumbnails to be made.
    _work_off()
    findings.seen += recount(now=timezone.now())
    findings.seen += purging.recount_room()
    findings.wrong += [*_unheard(now), *_open_reservations(), *_set_aside()]
    return findings


def _ask(findings: Findings, now: datetime) -> None:
    for model in JOBS:
        # Another chance for what was set aside; what still cannot be done is set aside again.
        take_up_again(model._default_manager.all(), now=now)
    count = Prediction.objects.unfinished().filter(lease_token=None).update(due_at=now)
    Output.objects.filter(state=Output.State.WAITING, lease_token=None).update(due_at=now)
    WebhookDelivery.objects.filter(due_at__isnull=False, lease_token=None).update(due_at=now)
    findings.seen.append(f"{count} unfinished predictions looked at")
    _work_off()
    look_after_given_up(now=timezone.now())


def _work_off() -> None:
    ends_at = timezone.now() + LONGEST
    while run_once() and timezone.now() < ends_at:
        pass


def _look_for_strays(findings: Findings) -> None:
    try:
        strays = claim_strays(provider=providers.current(), now=timezone.now())
    except ProviderError as error:
        name = type(error).__name__
        findings.wrong.append(f"the provider's list could not be read, so it may run what is not known here ({name})")
        return
    findings.seen.append(f"{strays.foreign} predictions of the last two hours at the provider are not ours")
    findings.seen += strays.found
    findings.wrong += strays.unclear


def _audit(findings: Findings) -> None:
    looked_at = remade = 0
    try:
        for batch in _audits():
            looked_at += batch.looked_at
            remade += batch.remade
            findings.wrong += batch.missing
    except storage.StorageError as error:
        findings.wrong.append(f"the files of all assets but the first {looked_at} could not be looked at ({error})")
        return
    findings.seen.append(f"the files of {looked_at} assets looked at")
    if remade:
        findings.seen.append(f"{remade} assets get a new thumbnail or poster for one that was gone")


def _audits() -> Iterator[audit.Audit]:
    last: UUID | None = None
    while True:
        batch = audit.audit(now=timezone.now(), after=last)
        yield batch
        if (last := batch.last) is None:
            return


def _sweep(findings: Findings, keep_objects: bool) -> None:
    now = timezone.now()
    try:
        orphans = sweep(now=now, keep_objects=keep_objects)
        taken_back = storage.abort_stale_uploads(begun_before=now - audit.UPLOAD_ENDS_WITHIN)
    except storage.StorageError as error:
        findings.wrong.append(f"objects without an asset could not be looked for ({error})")
        return
    if orphans.withheld:
        findings.wrong.append(f"{orphans.found} objects have no asset, more than have one: none was deleted")
    else:
        findings.seen.append(f"{orphans.found} objects have no asset; {orphans.deleted} of them deleted")
    if taken_back:
        findings.seen.append(f"{taken_back} abandoned uploads taken back")


def _unheard(since: datetime) -> list[str]:
    """Predictions that the provider has and that it could not be asked about in this pass."""
    running = Attempt.objects.filter(
        Q(looked_at=None) | Q(looked_at__lt=since),
        provider=settings.PROVIDER,
        provider_id__isnull=False,
        closed_at=None,
        prediction__status__in=OPEN_AT_PROVIDER,
        prediction__lease_token=None,
    )
    return [f"prediction {attempt.prediction_id} could not be asked about" for attempt in running]


def _open_reservations() -> list[str]:
    """Reservations of predictions that have ended: money held for nothing."""
    ended = Prediction.objects.filter(status__in=TERMINAL).values("pk")
    closed = LedgerEntry.objects.filter(kind__in=["settle", "release"]).values("reference")
    held = Attempt.objects.filter(
        Q(pk__in=LedgerEntry.objects.filter(kind="reserve").values("reference")), prediction__in=ended
    ).exclude(pk__in=closed)
    return [f"attempt {attempt.pk} has ended and still holds a reservation" for attempt in held]


def _set_aside() -> list[str]:
    """What was set aside, and what has died in this pass and would be."""
    rows: list[QuerySet[Any]] = [
        Prediction.objects.unfinished(),
        Output.objects.filter(state=Output.State.WAITING),
        WebhookDelivery.objects.filter(due_at__isnull=False),
    ]
    dying = Q(claims__gt=0, lease_token=None)
    return [
        f"{row._meta.verbose_name} {row.pk} is set aside for an administrator"
        if row.quarantined_at
        else f"work on {row._meta.verbose_name} {row.pk} fails"
        for queryset in rows
        for row in queryset.filter(~Q(quarantined_at=None) | dying)
    ]
