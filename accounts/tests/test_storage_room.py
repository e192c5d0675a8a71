"""How much of the store a user may fill, and where that is said."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts import storage_room
from accounts.models import StorageUse, User
from accounts.storage_room import Room, StorageFull
from accounts.tests.factories import make_user
from accounts.tests.overseeing import ADMIN, make_administrator, page, recorded

pytestmark = pytest.mark.django_db


def used(user: User) -> int:
    return storage_room.room_of(user.pk).used


class TestTake:
    def test_counts_up_to_the_limit(self) -> None:
        user = make_user(storage_bytes_limit=100)

        storage_room.take(user_id=user.pk, size_bytes=60, bounded=True)
        with pytest.raises(StorageFull) as error:
            storage_room.take(user_id=user.pk, size_bytes=41, bounded=True)
        storage_room.take(user_id=user.pk, size_bytes=40, bounded=True)

        assert error.value.sentence == "Your storage is full: 60 B of 100 B are used."
        assert storage_room.room_of(user.pk) == Room(100, 100)

    def test_goes_beyond_it_for_what_is_paid_for(self) -> None:
        user = make_user(storage_bytes_limit=0)

        storage_room.take(user_id=user.pk, size_bytes=60, bounded=False)

        assert storage_room.room_of(user.pk).full and storage_room.room_of(user.pk).remaining == 0

    def test_is_the_user_s_own(self) -> None:
        ada, ben = make_user("ada"), make_user("ben")

        storage_room.take(user_id=ada.pk, size_bytes=60, bounded=True)
        storage_room.free(user_id=ben.pk, size_bytes=60)

        assert (used(ada), used(ben)) == (60, 0)

    @pytest.mark.parametrize("bounded", [True, False])
    def test_of_a_first_file_waits_for_no_other_first_file(
        self, bounded: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user, take = make_user(storage_bytes_limit=100), storage_room._take

        def beside_a_rival(*args: Any) -> bool:
            taken = take(*args)
            StorageUse.objects.get_or_create(user=user, defaults={"used_bytes": 30})
            return taken

        monkeypatch.setattr(storage_room, "_take", beside_a_rival)

        storage_room.take(user_id=user.pk, size_bytes=60, bounded=bounded)

        assert used(user) == 90

    @pytest.mark.django_db(transaction=True)
    def test_lets_no_rival_in_between(self) -> None:
        user = make_user(storage_bytes_limit=100)

        def rival(_: int) -> bool:
            try:
                storage_room.take(user_id=user.pk, size_bytes=40, bounded=True)
            except StorageFull:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(rival, range(6))) == [False] * 4 + [True] * 2

        assert used(user) == 80


class TestLimit:
    def test_of_a_new_user_is_the_installation_s(self, settings: Settings) -> None:
        settings.STORAGE_MAX_BYTES = 7_000
        assert make_user("ada").storage_bytes_limit == 7_000

        settings.STORAGE_MAX_BYTES = None
        assert storage_room.room_of(make_user("ben").pk) == Room(0, None)

    def test_is_set_in_gigabytes_by_an_administrator(self, client: Client) -> None:
        user, root = make_user(), make_administrator()
        storage_room.take(user_id=user.pk, size_bytes=1_500_000, bounded=True)
        client.force_login(root)
        address = f"{ADMIN}accounts/user/{user.pk}/change/"

        shown = page(client, f"accounts/user/{user.pk}/change/")
        form = client.get(address).context["adminform"].form
        data = {name: value for name, value in form.initial.items() if isinstance(value, str | int) and value}
        inline = {f"limit_increases-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
        posted = client.post(
            address,
            data
            | inline
            | {"storage_bytes_limit": "2.5", "daily_micros_limit": "5", "monthly_micros_limit": "60"}
            | {"date_joined_0": "2026-01-01", "date_joined_1": "12:00"},
        )

        assert 'name="storage_bytes_limit" value="50"' in shown and "1.5 MB" in shown
        assert posted.status_code == 302, posted.context["adminform"].form.errors
        assert User.objects.get(pk=user.pk).storage_bytes_limit == 2_500_000_000
        assert "GB of storage: 50 GB → 2.5 GB" in recorded()[-1]


class TestRecount:
    @pytest.mark.django_db(transaction=True)
    def test_passes_over_who_is_erased_meanwhile(self) -> None:
        first, erased, last = make_user("ada"), make_user("ben"), make_user("cy")
        StorageUse.objects.create(user=last, used_bytes=5)

        def held(user_id: int) -> int:
            User.objects.filter(pk=erased.pk).delete()
            return 0

        assert storage_room.recount(held) == [f"user {last.pk} was said to store 5 bytes; it is 0"]
        assert used(first) == 0


class TestUsagePage:
    def test_says_what_is_stored(self, client: Client) -> None:
        user = make_user(storage_bytes_limit=2_000_000)
        StorageUse.objects.create(user=user, used_bytes=500_000)
        client.force_login(user)

        section = client.get("/usage/").content.decode().partition('id="storage"')[2].partition("</section>")[0]

        assert "500 kB <small>of 2.0 MB</small>" in section and 'class="spent" width="25.0"' in section
        assert "1.5 MB left." in section

    def test_says_when_it_is_full(self, client: Client) -> None:
        user = make_user(storage_bytes_limit=0)
        client.force_login(user)

        section = client.get("/usage/").content.decode().partition('id="storage"')[2].partition("</section>")[0]

        assert "Full: nothing new is made" in section and 'class="hot" width="100"' in section

    def test_says_that_there_is_no_limit(self, client: Client) -> None:
        client.force_login(make_user(storage_bytes_limit=None))

        section = client.get("/usage/").content.decode().partition('id="storage"')[2].partition("</section>")[0]

        assert "no limit" in section and "<svg" not in section
