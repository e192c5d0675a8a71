"""Which models the provider has answered 404 for; kept in the database so that all processes know."""

from datetime import datetime

from django.db.models import QuerySet

from generation.models import ModelAvailability


def available(model_id: str) -> bool:
    """Whether nothing speaks against asking the provider for this model."""
    return not marked_unavailable().filter(model=model_id).exists()


def marked_unavailable() -> QuerySet[ModelAvailability]:
    """The rows of the models that the provider no longer offers."""
    return ModelAvailability.objects.filter(unavailable_since__isnull=False)


def unavailable_models() -> frozenset[str]:
    """The ids of all models that are marked, in one statement."""
    return frozenset(marked_unavailable().values_list("model", flat=True))


def mark_unavailable(model_id: str, now: datetime) -> None:
    """Offer the model no longer; the first time it was missed is kept."""
    ModelAvailability.objects.get_or_create(model=model_id)
    ModelAvailability.objects.filter(model=model_id, unavailable_since=None).update(unavailable_since=now)


def mark_available(model_id: str) -> None:
    """Offer the model again."""
    ModelAvailability.objects.filter(model=model_id).update(unavailable_since=None)
