"""The settings page changes its owner's account and nobody else's."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from accounts.confirmation import EmailTaken, change_email
from accounts.models import ApiToken, User
from accounts.tests.factories import make_user
from accounts.tokens import create_token, verify

pytestmark = pytest.mark.django_db
TOKEN: dict[str, Any] = {"name": "edit-bay", "days": "90", "scopes": ["generate", "read"]}
PROFILE = {"name": "Inês", "email": "ines@example.org", "theme": "light"}


@pytest.fixture
def owner(client: Client) -> User:
    """Signed in on `client`."""
    user = make_user()
    client.force_login(user)
    return user


def confirm(client: Client, address: str = "/accounts/confirm/") -> Any:
    """Give the password once more; what was asked for before goes on from there."""
    return client.post(address, {"password": "correct horse"})


class TestProfile:
    def test_changes_name_and_theme(self, client: Client, owner: User) -> None:
        response = client.post("/settings/", PROFILE)

        assert response["Location"] == "/settings/"
        assert response.cookies["theme"]["max-age"] == 0
        owner.refresh_from_db()
        assert (owner.first_name, owner.theme) == ("Inês", "light")

    def test_writes_nothing_else(self, client: Client, owner: User) -> None:
        names = [field.attname for field in User._meta.concrete_fields]
        before = User.objects.values_list(*names).get()

        client.post("/settings/", dict.fromkeys(names, "1") | PROFILE)

        after = User.objects.values_list(*names).get()
        changed = {name for name, was, now in zip(names, before, after, strict=True) if was != now}
        assert changed == {"first_name", "theme"}

    def test_asks_for_the_password_before_it_moves_to_a_new_address(self, client: Client, owner: User) -> None:
        response = client.post("/settings/", PROFILE | {"email": "new@example.org"})

        assert response["Location"] == "/accounts/confirm/?next=%2Fsettings%2F"
        owner.refresh_from_db()
        assert (owner.email, owner.first_name) == ("ines@example.org", "")
        # What was asked for is done once the password is right, and not before.
        client.post(response["Location"], {"password": "wrong"})
        owner.refresh_from_db()
        assert owner.email == "ines@example.org"
        assert confirm(client, response["Location"])["Location"] == "/settings/"
        owner.refresh_from_db()
        assert (owner.email, owner.first_name) == ("new@example.org", "Inês")

    def test_moves_to_a_new_address_at_once_without_confirmation(self, client: Client, owner: User) -> None:
        confirm(client)

        client.post("/settings/", PROFILE | {"email": "New@Example.org"})

        owner.refresh_from_db()
        assert owner.email == "new@example.org"

    def test_refuses_the_address_of_another(self, client: Client, owner: User) -> None:
        make_user("rui")

        response = client.post("/settings/", PROFILE | {"email": "rui@example.org"})

        assert response.status_code == 422
        assert "Another account has this e-mail." in response.content.decode()

    def test_leaves_the_address_to_a_faster_rival(self, rf: RequestFactory, owner: User) -> None:
        make_user("rui")

        with pytest.raises(EmailTaken):
            change_email(request=rf.post("/settings/"), user=owner, email="rui@example.org")

        owner.refresh_from_db()
        assert owner.email == "ines@example.org"

    def test_waits_for_the_link_where_confirmation_is_on(self, client: Client, owner: User, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = True
        EmailAddress.objects.create(user=owner, email=owner.email, primary=True, verified=True)
        confirm(client)

        client.post("/settings/", PROFILE | {"email": "new@example.org"})
        owner.refresh_from_db()
        assert owner.email == "ines@example.org"

        link = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body))
        assert link is not None
        client.post(link[1])
        owner.refresh_from_db()
        assert owner.email == "new@example.org"

    def test_sends_no_links_to_everybody(self, client: Client, owner: User, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = True
        confirm(client)

        told = [
            client.post("/settings/", PROFILE | {"email": f"stranger{number}@example.org"}).status_code
            for number in range(7)
        ]

        assert told == [302] * 5 + [429] * 2
        assert len({message.to[0] for message in mail.outbox if message.to[0].startswith("stranger")}) == 5

    def test_sends_the_confirmation_again(self, client: Client, owner: User, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = True

        client.post("/settings/confirmation/")

        assert mail.outbox[0].to == ["ines@example.org"]

    def test_sends_strangers_to_the_door(self, client: Client) -> None:
        for path in ("/settings/", "/accounts/password/change/"):
            assert client.get(path)["Location"].startswith("/accounts/login/?next=")
        for path in ("/settings/", "/settings/tokens/", "/settings/confirmation/"):
            assert client.post(path)["Location"].startswith("/accounts/login/?next=")

    def test_wants_the_form_s_token(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(make_user())

        for path in ("/settings/", "/settings/tokens/", "/settings/confirmation/", "/accounts/logout/"):
            assert strict.post(path, PROFILE).status_code == 403


class TestTokens:
    def test_are_shown_once(self, client: Client, owner: User) -> None:
        response = client.post("/settings/tokens/", TOKEN)
        token = re.search(r"dp_[A-Za-z0-9_-]{43}", response.content.decode())

        assert token is not None
        assert "no-store" in response["Cache-Control"]
        row = verify(token[0], now=timezone.now())
        assert row is not None
        assert row.user == owner
        assert row.expires_at is not None
        assert token[0] not in client.get("/settings/").content.decode()

    def test_have_the_scopes_and_limits_that_were_chosen(self, client: Client, owner: User) -> None:
        client.post("/settings/tokens/", TOKEN | {"scopes": ["read"], "usd_day": "1.50", "count_month": "0"})

        row = owner.api_tokens.get()
        assert row.scopes == ["read"]
        assert (row.daily_micros_limit, row.monthly_count_limit) == (1_500_000, 0)
        assert (row.monthly_micros_limit, row.daily_count_limit) == (None, None)
        page = client.get("/settings/").content.decode()
        assert "at most $1.50 a day" in page
        assert "at most 0 generations a month" in page

    @pytest.mark.parametrize(
        "form",
        [
            {"name": ""},
            {"name": "x" * 81},
            {"days": "7"},
            {"name": "taken"},
            {"scopes": []},
            {"scopes": ["everything"]},
            {"usd_day": "-1"},
            {"count_day": "1.5"},
        ],
    )
    def test_are_refused_with_a_reason(self, client: Client, owner: User, form: dict[str, str]) -> None:
        create_token(user=owner, name="taken", expires_at=None, now=timezone.now())

        response = client.post("/settings/tokens/", TOKEN | form)

        assert response.status_code == 422
        assert ApiToken.objects.count() == 1

    def test_are_revoked_by_their_owner(self, client: Client, owner: User) -> None:
        row, token = create_token(user=owner, name="edit-bay", expires_at=None, now=timezone.now())

        assert client.post(f"/settings/tokens/{row.pk}/revoke/")["Location"] == "/settings/#tokens"

        assert verify(token, now=timezone.now()) is None

    def test_are_nothing_to_a_stranger(self, client: Client, owner: User) -> None:
        row, token = create_token(user=make_user("rui"), name="edit-bay", expires_at=None, now=timezone.now())

        assert client.post(f"/settings/tokens/{row.pk}/revoke/").status_code == 404
        client.logout()
        assert client.post(f"/settings/tokens/{row.pk}/revoke/").status_code == 302

        assert verify(token, now=timezone.now()) is not None

    def test_are_not_made_by_following_a_link(self, client: Client, owner: User) -> None:
        assert client.get("/settings/tokens/", TOKEN)["Location"] == "/settings/"
        assert not owner.api_tokens.exists()

    def test_are_not_revoked_by_following_a_link(self, client: Client, owner: User) -> None:
        row, token = create_token(user=owner, name="edit-bay", expires_at=None, now=timezone.now())

        assert "Revoke “edit-bay”?" in client.get(f"/settings/tokens/{row.pk}/revoke/").content.decode()

        assert verify(token, now=timezone.now()) is not None


class TestPassword:
    def test_is_changed_by_whoever_knows_it(self, client: Client, owner: User) -> None:
        form = {"oldpassword": "correct horse", "password1": "a new sentence", "password2": "a new sentence"}

        assert client.post("/accounts/password/change/", form)["Location"] == "/settings/"

        owner.refresh_from_db()
        assert owner.check_password("a new sentence")
        assert client.get("/settings/").status_code == 200

    def test_is_kept_from_who_does_not(self, client: Client, owner: User) -> None:
        form = {"oldpassword": "wrong", "password1": "a new sentence", "password2": "a new sentence"}

        page = client.post("/accounts/password/change/", form).content.decode()

        assert "not the current password" in page
        owner.refresh_from_db()
        assert owner.check_password("correct horse")
