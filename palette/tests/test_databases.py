"""What one test commits, no other finds; what every database begins with, all find."""

import pytest
from django.contrib.auth.models import Group, Permission

from accounts.models import User
from generation.models import Price

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("turn", range(3))
class TestAfterATestThatCommits:
    def test_its_rows_are_gone(self, turn: int) -> None:
        assert not User.objects.exists()

        User.objects.create_user("left", "left@example.org")

    def test_what_every_database_begins_with_is_there_again(self, turn: int) -> None:
        assert Permission.objects.filter(codename="view_user").exists()
        assert not Group.objects.filter(name="left").exists()
        assert Price.objects.exists()

        Group.objects.create(name="left")
        Permission.objects.filter(codename="view_user").delete()
        Price.objects.all().delete()
