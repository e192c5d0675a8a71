"""A prediction as programs are told of it: by the API that they ask, and in the messages that are sent to them."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from accounts.moments import moment
from accounts.money import usd
from gallery.api.presentation import shown
from generation import catalog, errors
from generation.models import Prediction, PredictionQuerySet
from generation.states import OUTSIDE, Status
from generation.work.places import Place, places

# A figure of the provider's beyond a year is a mistake, and some are beyond what JSON numbers can say.
LONGEST_RUN_SECONDS = 365 * 86_400


def with_all_told(predictions: PredictionQuerySet) -> PredictionQuerySet:
    """Everything that `tell_all` reads of the rows, in a constant number of statements."""
    return predictions.prefetch_related("attempts", "outputs__asset__tags")


def tell(prediction: Prediction) -> dict[str, Any]:
    """The whole prediction, under names and in words that do not change."""
    [told] = tell_all([prediction])
    return told


def tell_all(predictions: Iterable[Prediction]) -> list[dict[str, Any]]:
    """Each as `tell` does; where those stand that wait for a slot takes a constant number of statements."""
    rows = list(predictions)
    standing = places(rows, now=timezone.now())
    return [_told(row, standing.get(row.pk)) for row in rows]


def _told(prediction: Prediction, place: Place | None) -> dict[str, Any]:
    attempt = max(prediction.attempts.all(), key=lambda attempt: attempt.number, default=None)
    outputs = list(prediction.outputs.all())
    assets = [output.asset for output in outputs if output.asset]
    doubtful = prediction.status == Status.QUEUED and attempt is not None and attempt.doubtful
    told: dict[str, Any] = {
        "id": str(prediction.pk),
        "type": prediction.type,
        "model": prediction.model,
        "prompt": prediction.prompt,
        "input": inputs(prediction),
        "status": OUTSIDE[Status(prediction.status)],
        "stage": "confirming" if doubtful else prediction.status,
        "cancelRequested": prediction.cancel_requested_at is not None,
        "warnings": prediction.warnings,
        "estimatedCost": usd(prediction.estimated_micros),
        "cost": None if prediction.cost_micros is None else usd(prediction.cost_micros),
        "simulated": prediction.provider == "sandbox",
        "retryOf": str(prediction.retry_of_id) if prediction.retry_of_id else None,
        "createdAt": moment(prediction.created_at),
        "completedAt": moment(prediction.completed_at),
        "assets": [shown(asset) for asset in assets],
    }
    if place is not None:
        told["queue"] = _queue(place)
    if prediction.status == Status.SUCCEEDED:
        addresses = [asset["url"] for asset in told["assets"]]
        told["output"] = addresses[0] if len(outputs) == 1 and addresses else addresses
    if told["status"] == "failed":
        code = prediction.error_code or "provider_error"
        told |= {"error": errors.sentence(code), "errorCode": code}
    predict_time = attempt.metrics.get("predict_time") if attempt else None
    if isinstance(predict_time, (int, float)) and 0 <= predict_time <= LONGEST_RUN_SECONDS:
        told["metrics"] = {"predict_time": predict_time}
    return told


def _queue(place: Place) -> dict[str, Any]:
    """Where it stands, as its card says."""
    wait = place.starts_in_seconds
    return {
        "position": place.position or None,
        "waiting": place.waiting,
        "startsInSeconds": None if wait is None else round(wait),
        "reason": place.why or None,
    }


def inputs(prediction: Prediction) -> dict[str, Any]:
    """What was asked for, under the names by which it can be asked for again."""
    try:
        names = catalog.offered(catalog.get(prediction.model))
    except catalog.UnknownModel:
        return {}
    return {outside: prediction.input[name] for outside, name in names.items() if name in prediction.input}
