"""The guarded UPDATEs under every change of state, and the order in which rows are locked."""

from datetime import datetime
from typing import Any

from accounts.statements import read, update
from generation.models import Attempt, Prediction
from generation.states import ALLOWED_FROM, Status


def current_attempt(prediction: Prediction) -> Attempt:
    """The newest attempt; every prediction has one from its first moment."""
    attempt: Attempt = read(Attempt, {"prediction": prediction.pk}, order_by="-number", limit=1)[0]
    attempt.prediction = prediction
    return attempt


def lock_current(prediction: Prediction) -> Attempt:
    """The newest attempt, locked. Attempts are locked before predictions, and these before quotas, everywhere."""
    while True:
        attempt = Attempt.objects.select_for_update().get(pk=current_attempt(prediction).pk)
        # While we waited for the lock its holder may have opened the next one.
        if attempt.pk == current_attempt(prediction).pk:
            return attempt


def end(status: Status, now: datetime) -> dict[str, Any]:
    """The fields of a prediction that nobody has to attend to any more; a worker still at it writes to no row."""
    return {"status": status, "due_at": None, "lease_until": None, "lease_token": None, "completed_at": now}


def move(prediction: Prediction, target: Status, *, held: bool = False, **changes: Any) -> bool:
    """One guarded UPDATE; news also ends a quarantine, since the row is not where it was set aside.

    With `held`, only under the lease that `prediction` was read with.
    """
    where: dict[str, Any] = {"pk": prediction.pk, "status": tuple(ALLOWED_FROM[target])}
    if held:
        where["lease_token"] = prediction.lease_token
    return update(Prediction, where, **{"status": target, "quarantined_at": None, "claims": 0, **changes}) == 1
