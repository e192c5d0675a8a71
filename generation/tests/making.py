"""Rows and provider answers for tests, made by the product's own functions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import User
from generation import catalog
from generation.lifecycle import current_attempt, request_prediction
from generation.models import Attempt, Prediction
from generation.providers.base import ProviderPrediction

NOW = datetime(2026, 7, 16, 12, 0, tzinfo=UTC)
BANANA, FLUX, SEEDANCE = "google/nano-banana", "black-forest-labs/flux-schnell", "bytedance/seedance-1-lite"


def make_user(*, username: str = "ada", **fields: Any) -> User:
    """A creator with the default limits; the password is `correct horse battery`."""
    return User.objects.create_user(
        username=username, email=f"{username}@example.com", password="correct horse battery", **fields
    )


def make_prediction(
    *, user: User | None = None, model: str = BANANA, now: datetime = NOW, key: str | None = None, **raw: Any
) -> Prediction:
    """A queued prediction."""
    spec = catalog.get(model)
    parsed = catalog.parse(spec, {"prompt": "a lake at dusk", **raw})
    return request_prediction(user=user or make_user(), spec=spec, parsed=parsed, now=now, idempotency_key=key)


def make_sent(*, now: datetime = NOW, provider_id: str | None = "p1", **more: Any) -> tuple[Prediction, Attempt]:
    """A prediction that was sent, and its attempt; without a `provider_id` it is doubtful."""
    prediction = make_prediction(now=now, **more)
    attempt = current_attempt(prediction)
    Attempt.objects.filter(pk=attempt.pk).update(
        submitted_at=now,
        provider_id=provider_id,
        sent_input=prediction.input,
        fingerprint="f",
        cancel_after_seconds=1600,
    )
    Prediction.objects.filter(pk=prediction.pk).update(submitted_at=now, due_at=now + timedelta(seconds=2))
    prediction.refresh_from_db()
    attempt.refresh_from_db()
    return prediction, attempt


def says(status: str, **fields: Any) -> ProviderPrediction:
    """What the provider says of prediction p1."""
    return ProviderPrediction(**{"id": "p1", "status": status, "raw": {"status": status}, **fields})


def done(*addresses: str, **fields: Any) -> ProviderPrediction:
    """A success with outputs at `addresses`, one where none is given."""
    output: Any = list(addresses) or "https://replicate.delivery/a/out.jpg"
    return says("succeeded", output=output, **fields)
