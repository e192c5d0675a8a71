"""What an owner may have so many of is no more for many requests at once."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from accounts.tests.test_reserve import run_together
from gallery import descriptions, organising, renaming, sharing
from gallery.descriptions import InvalidDetails
from gallery.models import Collection, OwnCategory, ShareLink
from gallery.organising import Change
from gallery.tests.making import NOW, make_asset

AT_ONCE = 6


@pytest.fixture(autouse=True)
def slow_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a count and what follows from it there is time for everybody else."""
    count = QuerySet.count

    def slowly(rows: QuerySet[Any]) -> int:
        found = count(rows)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(QuerySet, "count", slowly)


def refused(work: Callable[[int], object]) -> int:
    """How many of so many at once were refused; any other fault is raised."""
    start, refusals, faults = threading.Barrier(AT_ONCE), list[str](), list[Exception]()

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except InvalidDetails as refusal:
            refusals.append(str(refusal))
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    run_together([threading.Thread(target=run, args=[number]) for number in range(AT_ONCE)])
    assert not faults
    assert all("At most 2" in refusal for refusal in refusals)
    return len(refusals)


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    def test_make_so_many_collections(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(organising, "MOST_COLLECTIONS", 2)

        assert refused(lambda number: organising.own_collection(owner=owner, name=f"{number}", now=NOW)) == AT_ONCE - 2

        assert Collection.objects.filter(owner=owner).count() == 2

    def test_collect_into_so_many_collections(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(organising, "MOST_COLLECTIONS", 2)
        ids = [make_asset(owner=owner).pk for _ in range(AT_ONCE)]

        def collect(number: int) -> None:
            organising.organise_assets(owner=owner, ids=[ids[number]], change=Change(collect=f"{number}"), now=NOW)

        assert refused(collect) == AT_ONCE - 2
        assert Collection.objects.filter(owner=owner).count() == 2

    def test_make_so_many_categories(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(descriptions, "MOST_CATEGORIES", 2)

        assert refused(lambda number: descriptions.add_category(owner_id=owner.pk, name=f"{number}")) == AT_ONCE - 2

        assert OwnCategory.objects.filter(owner=owner).count() == 2

    def test_make_so_many_links(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sharing, "MOST_LINKS", 2)
        to, now = make_asset(owner=owner), timezone.now()
        ends = now + timedelta(days=3)

        assert refused(lambda _: sharing.create_share_link(owner=owner, to=to, expires_at=ends, now=now)) == AT_ONCE - 2

        assert ShareLink.objects.filter(asset=to).count() == 2

    def test_rename_one_without_making_more(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(descriptions, "MOST_CATEGORIES", 2)
        row, _ = OwnCategory.objects.bulk_create(OwnCategory(owner=owner, name=name) for name in "ab")

        # Who comes when it is gone is refused, too.
        assert refused(lambda number: renaming.rename(row=row, name=f"{number}", now=NOW)) == AT_ONCE - 1

        assert OwnCategory.objects.filter(owner=owner).count() == 2

    def test_find_one_of_the_same_name(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(organising, "MOST_COLLECTIONS", 1)
        monkeypatch.setattr(descriptions, "MOST_CATEGORIES", 1)

        assert refused(lambda _: organising.own_collection(owner=owner, name="Night", now=NOW)) == 0
        assert refused(lambda _: descriptions.add_category(owner_id=owner.pk, name="Night")) == 0
