"""The rounds: each minute the limits, each hour some assets, the provider's list and the books, each day what lies in
the store for nobody.

Each round is won by one process with a guarded UPDATE.
"""

import logging
from datetime import date, datetime, timedelta

from django.db.models import Q

from accounts import alerts, notices, quotas
from accounts.periods import month_of, starts_at
from gallery import audit, storage
from generation import providers
from generation.models import StorageState
from generation.providers.base import ProviderError
from generation.work.connections import let_go
from generation.work.strays import claim_strays

log = logging.getLogger(__name__)

MINUTELY = timedelta(minutes=1)
HOURLY = timedelta(hours=1)
DAILY = timedelta(days=1)
# Assets looked at in an hour, beside those that are known to be missing.
SAMPLE = 200


def make_rounds(*, now: datetime) -> None:
    """What is due of each round; a store or provider that does not answer is asked next time."""
    state, _ = StorageState.objects.get_or_create(store="assets")
    if _won("limits_seen_at", state.limits_seen_at, MINUTELY, now):
        notices.find(now=now)
    if _won("audited_at", state.audited_at, HOURLY, now):
        # What is older cannot change by itself; `reconcile` counts all of it.
        recount(now=now, since=month_of(starts_at(month_of(now).starts_on) - DAILY).starts_on)
        _look_for_strays(now)
        _audit_some(state, now)
    if _won("swept_at", state.swept_at, DAILY, now):
        _sweep(now)


def recount(*, now: datetime, since: date | None = None) -> list[str]:
    """Set counters right that disagree with the ledger, and let administrators know; a sentence for each.

    Of the periods that begin on `since`, the first of a month, or later.
    """
    wrong = quotas.recompute(now=now, since=since)
    if wrong:
        alerts.note("balances_differed", f"{len(wrong)} counters were set right; the first: {wrong[0]}", now=now)
    else:
        alerts.over("balances_differed", now=now)
    return wrong


def sweep(*, now: datetime, keep_objects: bool = False) -> audit.Orphans:
    """Delete old objects that no asset names, unless they are to be kept. Raises StorageError."""
    orphans = audit.collect_orphans(now=now, keep=keep_objects)
    if orphans.withheld:
        detail = f"{orphans.found} objects in the store are named by no asset, more than are named. None was deleted."
        alerts.note("orphans_withheld", detail, now=now)
    else:
        alerts.over("orphans_withheld", now=now)
    return orphans


def _won(name: str, last: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether the round is due and this process is the one to make it."""
    if last is not None and last > now - every:
        return False
    due = Q(**{name: None}) | Q(**{f"{name}__lte": now - every})
    return StorageState.objects.filter(due, store="assets").update(**{name: now}) == 1


def _look_for_strays(now: datetime) -> None:
    let_go()
    try:
        strays = claim_strays(provider=providers.current(), now=now)
    except ProviderError as error:
        log.warning("the provider's list could not be read (%s)", type(error).__name__)
        return
    for line in strays.found:
        log.warning("%s", line)
    if strays.unclear:
        alerts.note("predictions_unclear", f"{len(strays.unclear)} in all: {strays.unclear[0]}", now=now)
    else:
        alerts.over("predictions_unclear", now=now)


def _audit_some(state: StorageState, now: datetime) -> None:
    try:
        audit.audit_missing(now=now)
        found = audit.audit(now=now, after=state.audited_to, limit=SAMPLE)
    except storage.StorageError as error:
        log.warning("the store could not be audited (%s)", error)
        return
    for line in found.missing:
        log.error("%s", line)
    StorageState.objects.filter(store=state.store).update(audited_to=found.last)


def _sweep(now: datetime) -> None:
    try:
        taken_back = storage.abort_stale_uploads(begun_before=now - audit.UPLOAD_ENDS_WITHIN)
        orphans = sweep(now=now)
    except storage.StorageError as error:
        log.warning("the store could not be swept (%s)", error)
        return
    if taken_back or orphans.found:
        log.info("%s uploads taken back, %s of %s orphans deleted", taken_back, orphans.deleted, orphans.found)
