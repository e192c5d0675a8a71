"""What the work loop asks each time it wakes up."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from generation.models import Output
from generation.tests.making import make_prediction
from generation.tests.storing import make_waiting
from generation.work.due import Due
from generation.work.lanes import LANES

pytestmark = pytest.mark.django_db


class TestLook:
    def test_asks_for_all_lanes_at_once(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        due = Due(LANES)

        with django_assert_num_queries(1):
            assert due.look() == []

    def test_names_the_lanes_that_have_something_due_by_now(self) -> None:
        due = Due(LANES)
        make_prediction()
        [output] = make_waiting("https://replicate.delivery/a/out.jpg")

        names = [lane.name for lane in due.look()]
        Output.objects.filter(pk=output.pk).update(due_at=timezone.now() + timedelta(minutes=1))
        later = [lane.name for lane in due.look()]

        assert {"submit", "store"} <= set(names)
        assert "store" not in later
