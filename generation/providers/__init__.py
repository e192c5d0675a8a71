"""The providers this installation has."""

from functools import lru_cache

from django.conf import settings

from generation.providers.base import Provider
from generation.providers.budget import CallBudget


def current() -> Provider:
    """The provider that new attempts go to, as the settings name it."""
    return named(settings.PROVIDER)


def named(name: str) -> Provider:
    """The provider of that name; `LookupError` when this installation no longer has it."""
    if name != settings.PROVIDER:
        raise LookupError(f"this installation has no provider {name!r}")
    return _replicate(name, settings.PROVIDER_URL, settings.REPLICATE_API_TOKEN or "sandbox")


@lru_cache(maxsize=8)
def _replicate(name: str, base_url: str, token: str) -> Provider:
    # Its library takes a fifth of a second and 20 MiB to load, and the processes that answer requests never call it.
    from generation.providers.replicate import ReplicateProvider

    return ReplicateProvider(name=name, base_url=base_url, token=token, budget=CallBudget(name))
