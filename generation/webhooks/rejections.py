"""How many deliveries were turned away at the door, by reason and day: counted in the cache, never in a table.

Anybody can be turned away, so it must cost no row and no lock: a cache of its own, which is Redis or this process's
memory and never the database. Without Redis each web process counts its own.
"""

import logging
from datetime import date
from typing import Final, Literal, get_args

from django.core.cache import caches
from django.utils.connection import ConnectionProxy

log = logging.getLogger(__name__)

cache = ConnectionProxy(caches, "counts")

Reason = Literal["unsigned", "out_of_time", "no_secret"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
KEPT_SECONDS: Final = 3 * 24 * 3600


def count(reason: Reason, *, day: date) -> None:
    """One more; a cache that is away counts nothing and disturbs nobody."""
    key = _key(reason, day)
    try:
        cache.add(key, 0, timeout=KEPT_SECONDS)
        cache.incr(key)
    except Exception as error:
        # Each backend has errors of its own.
        log.warning("the cache does not count: %s", type(error).__name__)


def counted(*, day: date) -> dict[Reason, int]:
    """How many of each reason were turned away on `day`; empty when the cache is away or there were none."""
    try:
        found = cache.get_many([_key(reason, day) for reason in REASONS])
    except Exception as error:
        log.warning("the cache does not answer: %s", type(error).__name__)
        return {}
    return {reason: found[_key(reason, day)] for reason in REASONS if _key(reason, day) in found}


def _key(reason: Reason, day: date) -> str:
    return f"webhooks-rejected:{day.isoformat()}:{reason}"
