"""GET /api/usage says what the limits leave."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import quotas, storage_room, tokens
from accounts.tests.factories import hold, make_user


@pytest.mark.django_db
class TestUsage:
    def test_has_the_shape_of_the_contract(self, client: Client) -> None:
        user = make_user(daily_count_limit=10, daily_micros_limit=1_000_000, monthly_count_limit=None)
        now = timezone.now()
        settled = hold(user, provider="sandbox", now=now)
        quotas.settle(reference=settled.reference, amount_micros=39_000, estimated=False, end="succeeded", now=now)
        hold(user, provider="sandbox", now=now)
        client.force_login(user)

        answer = client.get("/api/usage").json()

        assert set(answer) == {"day", "month", "storage"}
        assert answer["day"]["count"] == {"limit": 10, "settled": 1, "reserved": 1, "remaining": 8}
        assert answer["day"]["usd"] == {
            "limit": "1.00",
            "settled": "0.039",
            "reserved": "0.039",
            "remaining": "0.922",
        }
        assert answer["month"]["count"] == {"limit": None, "settled": 1, "reserved": 1, "remaining": None}
        assert datetime.fromisoformat(answer["day"]["resetsAt"]) > now
        assert answer["day"]["resetsAt"].endswith("Z")

    def test_says_what_is_stored(self, client: Client) -> None:
        user = make_user(storage_bytes_limit=100)
        storage_room.take(user_id=user.pk, size_bytes=140, bounded=False)
        client.force_login(user)
        assert client.get("/api/usage").json()["storage"] == {"limitBytes": 100, "usedBytes": 140, "remainingBytes": 0}

        client.force_login(make_user("ben", storage_bytes_limit=None))
        free = {"limitBytes": None, "usedBytes": 0, "remainingBytes": None}
        assert client.get("/api/usage").json()["storage"] == free

    def test_says_what_the_token_that_asks_may_spend(self, client: Client) -> None:
        user, now = make_user(), timezone.now()
        limits: tokens.Limits = {("day", "count"): 3, ("month", "usd"): 50_000}
        row, token = tokens.create_token(user=user, name="ci", expires_at=None, now=now, limits=limits)
        hold(user, provider="sandbox", now=now, token_id=row.pk)
        hold(user, provider="sandbox", now=now)

        answer = client.get("/api/usage", headers={"Authorization": f"Bearer {token}"}).json()

        assert answer["token"]["day"]["count"] == {"limit": 3, "settled": 0, "reserved": 1, "remaining": 2}
        assert answer["token"]["month"]["usd"]["remaining"] == "0.011"
        assert answer["token"]["month"]["count"]["limit"] is None
        assert answer["day"]["count"]["reserved"] == 2

    def test_answers_with_a_slash_too(self, client: Client) -> None:
        client.force_login(make_user())

        assert client.get("/api/usage/").status_code == 200

    def test_says_in_utc_when_the_site_s_day_ends(self, client: Client, settings: Settings) -> None:
        settings.TIME_ZONE = "Asia/Kathmandu"
        client.force_login(make_user())

        resets = datetime.fromisoformat(client.get("/api/usage").json()["day"]["resetsAt"])

        assert (resets.astimezone(UTC).hour, resets.astimezone(UTC).minute) == (18, 15)

    def test_never_shows_less_than_nothing_left(self, client: Client) -> None:
        user = make_user(daily_micros_limit=10_000)
        now = timezone.now()
        entry = hold(user, 1_000, provider="sandbox", now=now)
        quotas.settle(reference=entry.reference, amount_micros=90_000, estimated=False, end="succeeded", now=now)
        client.force_login(user)

        assert client.get("/api/usage").json()["day"]["usd"]["remaining"] == "0.00"

    def test_is_about_the_caller_alone(self, client: Client) -> None:
        hold(make_user("ines"), provider="sandbox", now=timezone.now())
        client.force_login(make_user("rui"))

        assert client.get("/api/usage").json()["day"]["count"]["reserved"] == 0

    def test_changes_nothing(self, client: Client) -> None:
        client.force_login(make_user())

        for method in (client.post, client.put, client.delete):
            assert method("/api/usage").status_code == 405
