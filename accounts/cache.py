"""The cache that all processes share: Redis, and the database where there is none or while it is away.

What is kept here must hold for everybody (how often somebody has tried to sign in), so no process keeps it for itself.
Values are what JSON can say.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.redis import RedisCache
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.models import CacheRow

log = logging.getLogger(__name__)

# After Redis has not answered it is left alone for so long: nobody's request waits for it meanwhile.
AWAY_SECONDS: Final = 5.0


class JsonSerializer:
    """In place of pickle, which would let whoever can write to Redis run code here."""

    def dumps(self, value: Any) -> Any:
        """Whole numbers stay what they are, so that Redis can count."""
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, kept: bytes) -> Any:
        return json.loads(kept)


class DatabaseCache(BaseCache):
    """Rows of `CacheRow`. Each act is one or two statements, and what has expired is as good as gone."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        made = self.make_and_validate_key(key, version=version)
        CacheRow.objects.filter(key=made, expires_at__lte=timezone.now()).delete()
        try:
            with transaction.atomic():
                CacheRow.objects.create(key=made, value=value, expires_at=self._ends_at(timeout))
        except IntegrityError:
            return False
        return True

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        rows = _good().filter(key=self.make_and_validate_key(key, version=version))
        return next(iter(rows.values_list("value", flat=True)), default)

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        made = self.make_and_validate_key(key, version=version)
        row = CacheRow(key=made, value=value, expires_at=self._ends_at(timeout))
        CacheRow.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["key"], update_fields=["value", "expires_at"]
        )

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        rows = _good().filter(key=self.make_and_validate_key(key, version=version))
        return rows.update(expires_at=self._ends_at(timeout)) == 1

    def delete(self, key: str, version: int | None = None) -> bool:
        deleted, _ = CacheRow.objects.filter(key=self.make_and_validate_key(key, version=version)).delete()
        return bool(deleted)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Its time goes on as it was. Raises ValueError when there is nothing to count on."""
        rows = _good().filter(key=self.make_and_validate_key(key, version=version))
        while (value := rows.values_list("value", flat=True).first()) is not None:
            if rows.filter(value=value).update(value=value + delta):
                return int(value + delta)
        raise ValueError(f"Key {key!r} not found")

    def clear(self) -> None:
        CacheRow.objects.all().delete()

    def _ends_at(self, timeout: Any) -> datetime | None:
        seconds = self.get_backend_timeout(timeout)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _good() -> QuerySet[CacheRow]:
    return CacheRow.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def _asked(act: str) -> Callable[..., Any]:
    def ask(self: "SharedCache", *given: Any, **options: Any) -> Any:
        return self.ask(act, *given, **options)

    return ask


class SharedCache(RedisCache):
    """Redis, and the database while it does not answer: limits go on to bind, though they begin anew."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._rows = DatabaseCache("", params)
        self._away_until = 0.0

    def ask(self, act: str, *given: Any, **options: Any) -> Any:
        """Do one of the acts below where it can be done."""
        if time.monotonic() >= self._away_until:
            try:
                return getattr(super(), act)(*given, **options)
            except RedisError as error:
                self._away_until = time.monotonic() + AWAY_SECONDS
                log.warning("Redis does not answer (%s): the cache is in the database", type(error).__name__)
        return getattr(self._rows, act)(*given, **options)

    add, get, set, touch, delete = (_asked(act) for act in ("add", "get", "set", "touch", "delete"))
    get_many, set_many, delete_many = (_asked(act) for act in ("get_many", "set_many", "delete_many"))
    has_key, incr, clear = (_asked(act) for act in ("has_key", "incr", "clear"))
