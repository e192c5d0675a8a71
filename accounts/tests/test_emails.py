"""An e-mail leads to one account."""

from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.demo import ensure_demo_account
from accounts.models import User
from accounts.tests.factories import make_user

MIGRATION = import_module("accounts.migrations.0004_one_account_for_each_email")


@pytest.mark.django_db
class TestEmail:
    def test_is_one_account_s_however_it_is_written(self) -> None:
        make_user("ines", email="ines@example.org")

        with pytest.raises(IntegrityError):
            make_user("rui", email="Ines@Example.org")

    def test_may_be_missing_more_than_once(self) -> None:
        make_user("ines", email="")
        make_user("rui", email="")

    def test_may_be_that_of_an_administrator(self) -> None:
        call_command("createsuperuser", username="root", email="root@example.org", interactive=False)

        assert User.objects.get().is_superuser

    def test_of_another_is_refused_to_an_administrator(self) -> None:
        make_user("rui")

        with pytest.raises(CommandError, match="Another account"), transaction.atomic():
            call_command("createsuperuser", username="root", email="rui@example.org", interactive=False)

    def test_of_the_demo_account_makes_no_second_one(self) -> None:
        ensure_demo_account(now=timezone.now())
        User.objects.update(username="renamed")

        assert ensure_demo_account(now=timezone.now()) == ("renamed", None)


@pytest.mark.django_db(transaction=True)
class TestMigration:
    def test_leaves_an_address_to_the_oldest_account(self) -> None:
        constraint = next(item for item in User._meta.constraints if item.name == "one_account_for_each_email")
        with connection.schema_editor() as editor:
            editor.remove_constraint(User, constraint)
        for name, email in [("a", "x@example.org"), ("b", "X@example.org"), ("c", "y@example.org"), ("d", "")]:
            make_user(name, email=email)

        with connection.schema_editor() as editor:
            MIGRATION.leave_it_to_the_oldest(apps, editor)
            editor.add_constraint(User, constraint)

        assert list(User.objects.order_by("username").values_list("email", flat=True)) == [
            "x@example.org",
            "",
            "y@example.org",
            "",
        ]
