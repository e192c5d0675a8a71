"""Accounts that are being deleted: what runs is canceled, what was made is taken away, and the account goes last.

Every step may be done again, by any worker, until there is nothing left to do: the account itself says that it is to
be deleted, for as long as there is anything of it. A provider or store that does not answer only makes it take longer.
"""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from accounts import deletion
from accounts.models import User
from gallery import purging
from gallery.models import Asset
from generation import lifecycle
from generation.models import Attempt, Output, Prediction
from generation.states import OPEN_AT_PROVIDER, Status

log = logging.getLogger(__name__)

# Accounts of one round; assets and predictions of one account in it.
MOST_ACCOUNTS = 20
MOST = 2000
BATCH = 200
# For so long the provider may still tell of a run that costs money: half an hour at most, and the hour for which it
# keeps what came of it. Until then we have to know whose it was.
KEPT_FOR = timedelta(hours=2)


def take_away(*, now: datetime) -> None:
    """One step with some of the accounts that are to be deleted: drawn, so that none that has to wait blocks others."""
    for user in deletion.asked().order_by("?")[:MOST_ACCOUNTS]:
        _end_work(user, now)
        purging.purge(Asset.objects.for_owner(user), now=now, most=MOST)
        if not _is_needed(user, now):
            _erase(user)


def give_up_files(user: User, *, now: datetime) -> None:
    """Conclude what is being stored for an account that is being deleted; what is stored already is purged."""
    lifecycle.give_up_storing(rows=Output.objects.filter(prediction__user=user), now=now)
    for prediction in Prediction.objects.for_owner(user).filter(status=Status.STORING):
        lifecycle.finish_storing(prediction_id=prediction.pk, now=now)


def _end_work(user: User, now: datetime) -> None:
    """Cancel what the provider has not ended; its answer moves the money as ever."""
    running = Prediction.objects.for_owner(user).filter(status__in=OPEN_AT_PROVIDER, cancel_requested_at=None)
    for prediction in running:
        with suppress(lifecycle.NotCancelable):
            lifecycle.cancel_prediction(prediction=prediction, now=now)
    give_up_files(user, now=now)


def _is_needed(user: User, now: datetime) -> bool:
    """Whether anything is unfinished, still there, or may still be heard of."""
    predictions = Prediction.objects.for_owner(user)
    return (
        user.deletion_asked_at is None
        or user.deletion_asked_at > now - KEPT_FOR
        or predictions.unfinished().exists()
        or Attempt.objects.filter(prediction__user=user, closed_at__gt=now - KEPT_FOR).exists()
        or Asset.objects.for_owner(user).exists()
    )


def _erase(user: User) -> None:
    """Delete the predictions, a batch in each transaction, and the row when there are none left."""
    predictions = Prediction.objects.for_owner(user).order_by()
    for _ in range(MOST // BATCH):
        if not (batch := list(predictions.values_list("pk", flat=True)[:BATCH])):
            deletion.erase(user=user)
            log.info("account %s was deleted", user.pk)
            return
        Prediction.objects.filter(pk__in=batch).delete()
