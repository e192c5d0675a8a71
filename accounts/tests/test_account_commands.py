"""The commands that operators and other programs rely on."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.confirmation import may_spend
from accounts.models import ApiToken, Invitation, User
from accounts.tests.factories import make_user
from accounts.tokens import verify

pytestmark = pytest.mark.django_db


class TestCreateApiToken:
    def test_prints_the_token_and_nothing_else(self, capsys: pytest.CaptureFixture[str]) -> None:
        user = make_user()

        call_command("create_api_token", "ines", "--name", "edit-bay", "--expires-days", "2")

        row = verify(capsys.readouterr().out.removesuffix("\n"), now=timezone.now())
        assert row is not None
        assert (row.user, row.name) == (user, "edit-bay")
        assert row.expires_at is not None
        assert (row.expires_at - timezone.now()).days == 1

    def test_does_not_expire_unless_told(self) -> None:
        make_user()

        call_command("create_api_token", "ines")

        assert ApiToken.objects.get().expires_at is None

    def test_gives_every_scope_unless_told(self) -> None:
        make_user()

        call_command("create_api_token", "ines")
        call_command("create_api_token", "ines", "--scope", "read", "--scope", "generate")

        assert list(ApiToken.objects.order_by("created_at").values_list("scopes", flat=True)) == [
            ["generate", "read", "manage"],
            ["generate", "read"],
        ]

    @pytest.mark.parametrize(
        "words",
        [
            ["nobody"],
            ["ines", "--expires-days", "0"],
            ["ines", "--name", ""],
            ["ines", "--name", "x" * 81],
            ["ines", "--scope", "everything"],
        ],
    )
    def test_refuses_with_a_sentence(self, words: list[str]) -> None:
        make_user()

        with pytest.raises(CommandError):
            call_command("create_api_token", *words)


class TestSetQuota:
    def test_changes_the_limits_given_and_no_other(self) -> None:
        user = make_user(daily_count_limit=1, monthly_micros_limit=2)

        call_command("set_quota", "ines", "--daily-usd", "0.039", "--monthly-count", "none")

        user.refresh_from_db()
        assert user.daily_micros_limit == 39_000
        assert user.monthly_count_limit is None
        assert (user.daily_count_limit, user.monthly_micros_limit) == (1, 2)

    def test_writes_down_what_was_and_what_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOGNAME", "grace")
        user = make_user(daily_micros_limit=5_000_000, monthly_count_limit=1500)

        call_command("set_quota", "ines", "--daily-usd", "0.039", "--monthly-count", "none")
        call_command("set_quota", "ines", "--daily-usd", "4")

        first, second = LogEntry.objects.filter(object_id=user.pk).order_by("pk")
        changed = "USD a day: $5.00 → $0.039; Generations a month: 1500 → none"
        assert sorted(first.change_message.removesuffix(". Run by grace.").split("; ")) == sorted(changed.split("; "))
        assert second.change_message == "USD a day: $0.039 → $4.00. Run by grace."

    def test_is_named_by_an_account_that_nobody_can_use(self) -> None:
        make_user()

        call_command("set_quota", "ines", "--daily-count", "3")

        who = LogEntry.objects.get().user
        assert (who.username, who.is_active, who.has_usable_password()) == ("manage.py set_quota", False, False)
        with pytest.raises(ValidationError):
            who.username_validator(who.username)

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["nobody", "--daily-count", "1"], "no account named"),
            (["ines"], "at least one limit"),
            (["ines", "--daily-count", "1.5"], "--daily-count is '1.5'"),
            (["ines", "--daily-count=-1"], "whole number"),
            (["ines", "--daily-count", "９"], "whole number"),
            (["ines", "--monthly-usd", "NaN"], "--monthly-usd is 'NaN'"),
            (["ines", "--monthly-usd", "much"], "amount in USD"),
        ],
    )
    def test_refuses_with_a_sentence(self, words: list[str], sentence: str) -> None:
        make_user()
        before = User.objects.values().get()

        with pytest.raises(CommandError, match=sentence):
            call_command("set_quota", *words)

        assert User.objects.values().get() == before


class TestEnsureDemoAccount:
    def test_tells_the_password_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("ensure_demo_account")
        first = capsys.readouterr().out
        password = first.split("password: ")[1].split()[0]

        call_command("ensure_demo_account")
        second = capsys.readouterr().out

        user = User.objects.get()
        assert user.check_password(password)
        assert password not in second
        assert "manage.py changepassword demo" in second

    def test_makes_a_plain_creator_who_may_spend(self) -> None:
        call_command("ensure_demo_account")

        user = User.objects.get()
        assert not user.is_staff
        assert may_spend(user)


class TestInvite:
    def test_refuses_what_is_no_address(self) -> None:
        with pytest.raises(CommandError, match="not an e-mail"):
            call_command("invite", "nobody")

        assert not Invitation.objects.exists()
