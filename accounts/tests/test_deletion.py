"""Deleting an account: who may, what ends at once, what is forgotten and what the books keep."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import deletion, quotas
from accounts.deletion import LastAdministrator, delete_account
from accounts.models import ApiToken, DailySpend, Invitation, LedgerEntry, QuotaPeriod, User
from accounts.recount import recompute
from accounts.tests.factories import NOON, hold, make_token, make_user
from accounts.tests.overseeing import ADMIN, make_administrator, make_staff, recorded, said
from accounts.tokens import create_token

pytestmark = pytest.mark.django_db
NAME_AND_PASSWORD = {"name": "ines", "password": "correct horse"}


@pytest.fixture(autouse=True)
def no_tries_yet() -> None:
    cache.clear()


@pytest.fixture
def ines(db: None) -> User:
    user = make_user("ines", first_name="Ines", last_name="Prado")
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


class TestPage:
    def test_is_found_from_the_settings(self, ines: User, client: Client) -> None:
        client.force_login(ines)

        assert 'href="/settings/delete/"' in client.get("/settings/").content.decode()
        page = client.get("/settings/delete/").content.decode()
        assert "this cannot be undone" in page and "What stays" in page

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ({}, "This field is required"),
            ({"name": "ben", "password": "correct horse"}, "Type “ines”, the name of this account."),
            ({"name": "ines", "password": "wrong"}, "This is not your password."),
            ({"name": "ines"}, "This is not your password."),
        ],
    )
    def test_wants_name_and_password(self, ines: User, client: Client, given: dict[str, str], sentence: str) -> None:
        client.force_login(ines)

        answer = client.post("/settings/delete/", given)

        assert answer.status_code == 422 and sentence in answer.content.decode()
        assert User.objects.filter(username="ines", is_active=True, deletion_asked_at=None).exists()

    def test_lets_nobody_guess_for_long(self, ines: User, client: Client) -> None:
        client.force_login(ines)

        codes = [client.post("/settings/delete/", {"name": "ines", "password": "x"}).status_code for _ in range(30)]

        assert codes[0] == 422 and codes[-1] == 429
        assert client.post("/settings/delete/", NAME_AND_PASSWORD).status_code == 429

    def test_deletes_and_signs_out_everywhere(self, ines: User, client: Client) -> None:
        elsewhere = Client()
        for browser in (client, elsewhere):
            browser.force_login(ines)
        _, token = create_token(user=ines, name="ci", expires_at=None, now=timezone.now())

        answer = client.post("/settings/delete/", NAME_AND_PASSWORD, follow=True)

        assert "Your account is deleted." in answer.content.decode()
        for browser in (client, elsewhere):
            assert browser.get("/usage/").status_code == 302
        refused = Client().get("/api/usage", headers={"Authorization": f"Bearer {token}"})
        assert refused.status_code == 401
        assert not Client().login(username="ines", password="correct horse")

    def test_is_nobody_else_s(self, ines: User, client: Client) -> None:
        assert client.post("/settings/delete/", NAME_AND_PASSWORD).status_code == 302
        assert Client(enforce_csrf_checks=True).post("/settings/delete/", NAME_AND_PASSWORD).status_code == 403
        assert User.objects.filter(username="ines").exists()


class TestDeleteAccount:
    def test_forgets_whose_it_was(self, ines: User) -> None:
        Invitation.objects.create(
            email="Ines@example.org", digest="d", created_at=NOON, expires_at=NOON + timedelta(days=1)
        )
        token = make_token(ines)

        assert delete_account(user=ines, now=NOON)

        ines.refresh_from_db()
        assert (ines.username, ines.email, ines.first_name, ines.last_name) == (f"deleted-{ines.pk}", "", "", "")
        assert (ines.is_active, ines.has_usable_password(), ines.deletion_asked_at) == (False, False, NOON)
        assert not EmailAddress.objects.exists() and not Invitation.objects.exists()
        assert ApiToken.objects.get(pk=token.pk).revoked_at == NOON

    def test_counts_once(self, ines: User) -> None:
        assert delete_account(user=ines, now=NOON)
        assert not delete_account(user=ines, now=NOON + timedelta(hours=1))

        assert User.objects.get(pk=ines.pk).deletion_asked_at == NOON

    def test_finds_another_name_where_its_own_is_taken(self, ines: User) -> None:
        make_user(f"deleted-{ines.pk}")

        assert delete_account(user=ines, now=NOON)
        assert User.objects.get(pk=ines.pk).username == f"deleted-{ines.pk}@"

    def test_leaves_somebody_who_may_do_everything(self) -> None:
        root = make_administrator()
        with pytest.raises(LastAdministrator):
            delete_account(user=root, now=NOON)

        make_administrator("second")
        assert delete_account(user=root, now=NOON)

    def test_changes_how_the_records_call_it(self, ines: User) -> None:
        root = make_administrator()
        entry = LogEntry.objects.log_actions(root.pk, [ines], 2, change_message=f"email: none → {ines.email}")
        assert entry is not None

        delete_account(user=ines, now=NOON)

        record = LogEntry.objects.get()
        assert record.object_repr == f"deleted-{ines.pk}"
        assert record.change_message == f"email: none → deleted-{ines.pk}"

    def test_leaves_no_address_in_the_records_of_an_invitation(self, ines: User) -> None:
        invitation = Invitation.objects.create(
            email="prado@example.net", digest="d", created_at=NOON, expires_at=NOON, accepted_by=ines
        )
        other = Invitation.objects.create(email="ben@example.net", digest="e", created_at=NOON, expires_at=NOON)
        root = make_administrator()
        for row in (invitation, other, EmailAddress.objects.get()):
            LogEntry.objects.log_actions(
                root.pk, [row], 1, change_message=f"Added. email: {row.email}", single_object=True
            )

        delete_account(user=ines, now=NOON)

        name = f"deleted-{ines.pk}"
        called = list(LogEntry.objects.order_by("id").values_list("object_repr", "change_message"))
        theirs = (name, f"Added. email: {name}")
        assert called == [theirs, ("ben@example.net", "Added. email: ben@example.net"), theirs]


class TestErase:
    def test_keeps_what_was_spent(self, ines: User) -> None:
        for amount in (39_000, 70_000):
            entry = hold(ines, amount)
            quotas.settle(reference=entry.reference, amount_micros=amount, estimated=False, end="succeeded", now=NOON)
        delete_account(user=ines, now=NOON)
        before = list(QuotaPeriod.objects.order_by("pk").values())

        deletion.erase(user=ines)

        assert not User.objects.exists()
        assert {row.user_scope for row in LedgerEntry.objects.all()} == {f"user:{ines.pk}"}
        assert sum(row.micros for row in DailySpend.objects.all()) == 109_000
        assert list(QuotaPeriod.objects.order_by("pk").values()) == before
        assert recompute(now=NOON) == []
        # A correction that comes later is booked like any other.
        quotas.correct(reference=entry.reference, amount_micros=-1_000, count=0, reason="Refund", now=NOON)
        assert sum(row.micros for row in DailySpend.objects.all()) == 108_000

    def test_leaves_a_nameless_row_to_what_an_administrator_has_done(self) -> None:
        root, other = make_administrator(), make_administrator("second")
        LogEntry.objects.log_actions(root.pk, [other], 2, change_message="limits")
        make_token(root)
        delete_account(user=root, now=NOON)

        deletion.erase(user=root)

        assert LogEntry.objects.get().user.username == f"deleted-{root.pk}"
        assert not ApiToken.objects.exists() and not deletion.asked().exists()


class TestAdmin:
    def test_deletes_after_a_confirmation(self, ines: User, client: Client) -> None:
        hold(ines)
        client.force_login(make_administrator())
        address = f"{ADMIN}accounts/user/{ines.pk}/delete/"

        page = client.get(address).content.decode()
        assert "whatever runs is canceled" in page
        client.post(address, {"post": "yes"})

        assert User.objects.get(pk=ines.pk).deletion_asked_at
        assert recorded() == ["Asked for the account to be deleted."]
        assert "ines" not in str(LogEntry.objects.get().object_repr)

    def test_deletes_several_but_not_the_last_administrator(self, ines: User, client: Client) -> None:
        root = make_administrator()
        client.force_login(root)
        chosen = {"action": "delete_selected", "_selected_action": [ines.pk, root.pk], "post": "yes"}

        answer = client.post(f"{ADMIN}accounts/user/", chosen, follow=True)

        assert any("is the only administrator left" in sentence for sentence in said(answer))
        assert list(deletion.asked()) == [ines]

    def test_does_not_claim_to_have_deleted_the_last_administrator(self, client: Client) -> None:
        root = make_administrator()
        client.force_login(root)

        answer = client.post(f"{ADMIN}accounts/user/{root.pk}/delete/", {"post": "yes"}, follow=True)

        assert said(answer) == ["root is the only administrator left and was not deleted."]

    def test_is_not_for_who_may_not_delete(self, ines: User, client: Client) -> None:
        client.force_login(make_staff())

        assert client.post(f"{ADMIN}accounts/user/{ines.pk}/delete/", {"post": "yes"}).status_code == 403
        assert not deletion.asked().exists()
