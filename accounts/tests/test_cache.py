"""The cache that processes share: the database's, and Redis with the database behind it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.cache import DatabaseCache, JsonSerializer, SharedCache
from accounts.models import CacheRow
from accounts.tests.factories import make_user

pytestmark = pytest.mark.django_db
NOWHERE = "redis://127.0.0.1:9/0"


@pytest.fixture
def cache() -> DatabaseCache:
    return DatabaseCache("", {"KEY_PREFIX": "t"})


class TestDatabaseCache:
    def test_keeps_what_json_can_say(self, cache: DatabaseCache) -> None:
        values: list[Any] = [[1.5, 2.5], "y", True, 7, {"a": []}]
        for value in values:
            cache.set("k", value, 60)
            assert cache.get("k") == value
        assert cache.get("other", "default") == "default"
        assert cache.delete("k")
        assert not cache.delete("k")

    def test_gives_an_added_key_to_one(self, cache: DatabaseCache) -> None:
        assert cache.add("lock", True, 10)
        with transaction.atomic():
            assert not DatabaseCache("", {"KEY_PREFIX": "t"}).add("lock", True, 10)
        assert DatabaseCache("", {"KEY_PREFIX": "another"}).add("lock", True, 10)

    def test_forgets_what_has_expired(self, cache: DatabaseCache) -> None:
        cache.set("k", 1, 60)
        CacheRow.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        assert cache.get("k") is None
        assert not cache.touch("k", 60)
        with pytest.raises(ValueError, match="not found"):
            cache.incr("k")
        assert cache.add("k", 2, 60)

    def test_counts_without_prolonging(self, cache: DatabaseCache) -> None:
        cache.add("n", 0, 60)
        before = CacheRow.objects.get().expires_at

        assert [cache.incr("n"), cache.incr("n", 3)] == [1, 4]
        assert CacheRow.objects.get().expires_at == before
        cache.clear()
        assert cache.get("n") is None


class TestSharedCache:
    def test_goes_on_in_the_database_while_redis_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = SharedCache(NOWHERE, {"OPTIONS": {"socket_connect_timeout": 1}})

        assert cache.add("k", 1, 60)
        assert not cache.add("k", 1, 60)
        assert cache.incr("k") == 2
        assert cache.get_many(["k"]) == {"k": 2}
        asked: list[Any] = []
        monkeypatch.setattr(type(cache._cache), "get", lambda *given: asked.append(given))
        cache.get("k")
        assert not asked  # left alone for a while after it has not answered

    def test_reads_no_pickle(self) -> None:
        with pytest.raises(ValueError, match="codec"):
            JsonSerializer().loads(b"\x80\x04K\x01.")


class TestLimitsOfSigningIn:
    @pytest.fixture(autouse=True)
    def away(self, settings: Settings) -> Iterator[None]:
        """A cache behind which no Redis answers."""
        away = {"BACKEND": "accounts.cache.SharedCache", "LOCATION": NOWHERE}
        settings.CACHES = settings.CACHES | {"default": away}
        yield
        caches["default"].clear()

    def test_hold_while_redis_is_away(self) -> None:
        make_user()

        answers = [self.try_to_sign_in(address) for address in ("10.0.0.1", "10.0.0.2") * 4]

        assert "Too many attempts" in answers[-1]
        assert "do not match" in answers[0]

    def test_are_kept_by_no_process_for_itself(self) -> None:
        make_user()
        for _ in range(5):
            self.try_to_sign_in("10.0.0.1")

        del caches["default"]  # as another process begins: with nothing in memory

        assert "Too many attempts" in self.try_to_sign_in("10.0.0.9")

    @staticmethod
    def try_to_sign_in(address: str) -> str:
        response = Client(REMOTE_ADDR=address).post("/accounts/login/", {"login": "ines", "password": "wrong"})
        return response.content.decode()
