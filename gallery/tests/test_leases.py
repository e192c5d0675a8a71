"""Leases: one holder at a time, fenced, ended by time, set aside after too many deaths."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import User
from gallery import leases
from gallery.models import Asset


def make_due(count: int = 1) -> list[Asset]:
    """Assets that want derivatives."""
    owner, _ = User.objects.get_or_create(username="ada")
    now = timezone.now()
    return [
        Asset.objects.create(
            owner=owner,
            kind="image",
            origin="upload",
            created_at=now,
            due_at=now - timedelta(seconds=1),
            storage_key=f"{owner.pk}/{n}.jpg",
            content_type="image/jpeg",
            size_bytes=1,
            sha256="0" * 64,
            width=1,
            height=1,
        )
        for n in range(count)
    ]


@pytest.mark.django_db
class TestClaim:
    def test_leases_what_is_due_and_counts(self) -> None:
        make_due()

        [row] = leases.claim(Asset.objects.all(), limit=5)

        assert row.claims == 1
        assert row.lease_until > timezone.now() + timedelta(seconds=25)

    def test_goes_by_the_order_that_is_asked_for(self) -> None:
        first, second, third = make_due(3)
        for width, row in enumerate((third, first, second), start=1):
            Asset.objects.filter(pk=row.pk).update(width=width)

        [one] = leases.claim(Asset.objects.all(), order_by=("width",))
        others = leases.claim(Asset.objects.all(), limit=5, order_by=("width",))

        assert [one, *others] == [third, first, second]

    def test_leaves_what_is_held(self) -> None:
        make_due()
        leases.claim(Asset.objects.all())

        assert leases.claim(Asset.objects.all()) == []

    def test_leaves_what_is_not_due(self) -> None:
        make_due()
        Asset.objects.update(due_at=timezone.now() + timedelta(seconds=5))

        assert leases.claim(Asset.objects.all()) == []

    def test_takes_over_when_the_lease_has_ended(self) -> None:
        make_due()
        leases.claim(Asset.objects.all())
        Asset.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

        [row] = leases.claim(Asset.objects.all())

        assert row.claims == 2


@pytest.mark.django_db
class TestFence:
    def test_keeps_the_writes_of_a_worker_that_was_believed_dead(self) -> None:
        make_due()
        [zombie] = leases.claim(Asset.objects.all())
        Asset.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        [heir] = leases.claim(Asset.objects.all())

        assert not leases.renew(zombie)
        assert not leases.hand_back(zombie, due_at=None, title="zombie")
        assert leases.hand_back(heir, due_at=None, title="heir")
        assert Asset.objects.get().title == "heir"

    def test_counts_work_that_raised_until_it_is_set_aside(self) -> None:
        make_due()
        for _ in range(leases.MOST_CLAIMS):
            [row] = leases.claim(Asset.objects.all())
            leases.drop_after_crash(row, due_at=timezone.now() - timedelta(seconds=1))

        assert leases.quarantine_poisoned(Asset, now=timezone.now()) == 1
        assert leases.claim(Asset.objects.all()) == []


@pytest.mark.django_db(transaction=True)
class TestRace:
    def test_gives_each_row_to_one(self) -> None:
        make_due(12)

        def one(_: int) -> list[str]:
            try:
                return [str(row.pk) for row in leases.claim(Asset.objects.all(), limit=3)]
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as pool:
            claimed = [pk for rows in pool.map(one, range(12)) for pk in rows]

        assert len(claimed) == len(set(claimed))
        assert leases.claim(Asset.objects.all(), limit=50) == [] or len(claimed) < 12
