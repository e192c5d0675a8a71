"""Signing up, in and out, and what a forgotten password needs."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.confirmation import may_spend
from accounts.invitations import VALID_FOR, InvitationSpent, accept, find, invite
from accounts.models import Invitation, User
from accounts.tests.factories import make_user
from palette.tests.ports import free_port

pytestmark = pytest.mark.django_db
FORM = {"username": "rui", "email": "rui@example.org", "password1": "a long sentence", "password2": "a long sentence"}


@pytest.fixture(autouse=True)
def fresh_rate_limits() -> None:
    """What one test has used up is not another's."""
    cache.clear()


def sign_in(client: Client, login: str = "ines", password: str = "correct horse", **more: str) -> int:
    """Send the form; the status of the answer."""
    return client.post("/accounts/login/", {"login": login, "password": password, **more}).status_code


class TestSignUp:
    def test_makes_an_account_with_the_limits_of_the_installation(self, client: Client, settings: Settings) -> None:
        settings.DAILY_COUNT = 7

        response = client.post("/accounts/signup/", FORM)

        assert response["Location"] == "/"
        user = User.objects.get(username="rui")
        assert user.daily_count_limit == 7
        assert not user.is_staff
        assert may_spend(user)

    def test_gives_nobody_rights_or_limits_of_their_choice(self, client: Client) -> None:
        client.post("/accounts/signup/", FORM | {"is_staff": "1", "is_superuser": "1", "daily_micros_limit": "9" * 12})

        user = User.objects.get(username="rui")
        assert not user.is_staff
        assert not user.is_superuser
        assert user.daily_micros_limit == 5_000_000

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"username": "ines"}, "This name is taken."),
            ({"email": "INES@example.org"}, "belongs to an account already"),
            ({"password1": "short", "password2": "short"}, "too short"),
            ({"password2": "another sentence"}, "same password"),
            ({"email": "no address"}, "valid email"),
        ],
    )
    def test_says_what_is_wrong_beside_the_field(self, client: Client, change: dict[str, str], sentence: str) -> None:
        make_user("ines")

        page = client.post("/accounts/signup/", FORM | change).content.decode()

        assert sentence in page
        assert 'aria-invalid="true"' in page
        assert "short" not in re.findall(r'value="([^"]*)"', page)
        assert not User.objects.filter(username="rui").exists()

    @pytest.mark.parametrize("signup", ["invite", "closed"])
    def test_is_shut_without_an_invitation(self, client: Client, settings: Settings, signup: str) -> None:
        settings.SIGNUP = signup

        page = client.post("/accounts/signup/", FORM)

        assert "By invitation" in page.content.decode()
        assert not User.objects.exists()
        assert "Make an account" not in client.get("/accounts/login/").content.decode()


class Rendezvous:
    """A password validator at which those who sign up wait for each other: all have asked what is taken by then."""

    passed = Event()
    barrier = Barrier(8, action=passed.set)

    def validate(self, password: str, user: User | None = None) -> None:
        if not self.passed.is_set():
            self.barrier.wait(20)

    def get_help_text(self) -> str:
        return ""


@pytest.mark.django_db(transaction=True)
class TestRivals:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [({"email": "rui{}@example.org"}, "This name is taken."), ({"username": "rui{}"}, "to an account already")],
    )
    def test_are_told_what_one_of_them_has_taken(
        self, settings: Settings, change: dict[str, str], sentence: str
    ) -> None:
        settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": f"{__name__}.Rendezvous"}]
        Rendezvous.passed.clear()

        def sign_up(number: int) -> str:
            try:
                form = FORM | {field: value.format(number) for field, value in change.items()}
                return Client().post("/accounts/signup/", form, follow=True).content.decode()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            pages = list(pool.map(sign_up, range(8)))

        assert User.objects.count() == 1
        assert sum(sentence in page for page in pages) == 7


class TestInvitation:
    @pytest.fixture(autouse=True)
    def by_invitation(self, settings: Settings) -> None:
        settings.SIGNUP = "invite"

    def link(self, email: str = "rui@example.org") -> str:
        """The path of a new link."""
        _, address = invite(email=email, now=timezone.now())
        return address.removeprefix("http://127.0.0.1:8000")

    def test_lets_the_invited_address_sign_up_once(self, client: Client) -> None:
        path = self.link()

        form = client.get(path, follow=True)
        assert 'value="rui@example.org"' in form.content.decode()
        assert client.post("/accounts/signup/", FORM)["Location"] == "/"

        assert Invitation.objects.get().accepted_by == User.objects.get()
        assert Client().get(path).status_code == 404

    def test_is_for_no_other_address(self, client: Client) -> None:
        client.get(self.link("ana@example.org"))

        page = client.post("/accounts/signup/", FORM).content.decode()

        assert "another e-mail" in page
        assert not User.objects.exists()

    def test_runs_out(self) -> None:
        token = self.link().split("/")[-2]

        assert find(token, now=timezone.now()) is not None
        assert find(token, now=timezone.now() + VALID_FOR + timedelta(seconds=1)) is None

    def test_is_spent_by_the_first_of_two(self) -> None:
        invitation, _ = invite(email="rui@example.org", now=timezone.now())
        accept(invitation=invitation, user=make_user("rui"), now=timezone.now())

        with pytest.raises(InvitationSpent):
            accept(invitation=invitation, user=make_user("ana"), now=timezone.now())

    def test_makes_no_account_when_a_rival_was_faster(self, client: Client) -> None:
        client.get(self.link())
        rival = make_user("rival")
        Invitation.objects.update(accepted_at=timezone.now(), accepted_by=rival)

        client.post("/accounts/signup/", FORM)

        assert list(User.objects.all()) == [rival]

    def test_opens_nothing_where_signing_up_is_closed(self, client: Client, settings: Settings) -> None:
        path = self.link()
        settings.SIGNUP = "closed"

        client.get(path)

        assert "By invitation" in client.post("/accounts/signup/", FORM).content.decode()

    def test_keeps_no_token(self) -> None:
        token = self.link().split("/")[-2]

        assert token not in str(list(Invitation.objects.values()))


class TestSignIn:
    @pytest.mark.parametrize("login", ["ines", "ines@example.org", "Ines@Example.org"])
    def test_takes_name_or_e_mail(self, client: Client, login: str) -> None:
        make_user()

        assert sign_in(client, login) == 302
        assert client.get("/settings/").status_code == 200

    def test_answers_alike_for_unknown_name_and_wrong_password(self, client: Client) -> None:
        make_user()

        known = client.post("/accounts/login/", {"login": "ines", "password": "wrong"}).content.decode()
        unknown = client.post("/accounts/login/", {"login": "nobody", "password": "wrong"}).content.decode()

        assert "do not match" in known
        varying = r'ines|nobody|csrf.*?>|"X-CSRFToken": "\w+"'
        assert re.sub(varying, "", known) == re.sub(varying, "", unknown)

    def test_goes_on_to_pages_of_ours_only(self, client: Client) -> None:
        make_user()

        ours = client.post("/accounts/login/", {"login": "ines", "password": "correct horse", "next": "/usage/"})
        client.logout()
        theirs = client.post(
            "/accounts/login/", {"login": "ines", "password": "correct horse", "next": "https://evil.example/"}
        )

        assert ours["Location"] == "/usage/"
        assert theirs["Location"] == "/"

    def test_keeps_a_closed_account_out(self, client: Client) -> None:
        make_user(is_active=False)

        sign_in(client)

        assert client.get("/settings/").status_code == 302

    def test_slows_down_guessing(self, client: Client) -> None:
        make_user()

        for _ in range(11):
            sign_in(client, password="wrong")

        assert client.post("/accounts/login/", {"login": "ines", "password": "correct horse"}).status_code in {200, 429}
        assert client.get("/settings/").status_code == 302

    def test_wants_the_form_s_token(self) -> None:
        make_user()
        strict = Client(enforce_csrf_checks=True)

        for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
            assert strict.post(path, FORM).status_code == 403


class TestSignOut:
    def test_happens_by_post_only(self, client: Client) -> None:
        client.force_login(make_user())

        client.get("/accounts/logout/")
        assert client.get("/settings/").status_code == 200

        assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
        assert client.get("/settings/").status_code == 302


class TestPasswordReset:
    def test_mails_a_link_that_sets_a_new_password(self, client: Client) -> None:
        make_user()

        done = client.post("/accounts/password/reset/", {"email": "ines@example.org"}, follow=True)
        link = re.search(r"http://\S+", str(mail.outbox[0].body))
        assert link is not None
        form = client.get(link[0], follow=True)
        client.post(form.redirect_chain[-1][0], {"password1": "a new sentence", "password2": "a new sentence"})

        assert "Look in your mail" in done.content.decode()
        assert sign_in(Client(), password="a new sentence") == 302

    def test_does_not_tell_who_has_an_account(self, client: Client) -> None:
        response = client.post("/accounts/password/reset/", {"email": "nobody@example.org"}, follow=True)

        assert "Look in your mail" in response.content.decode()
        assert "no account has this address" in mail.outbox[0].body

    def test_takes_its_address_from_the_settings(self, client: Client, settings: Settings) -> None:
        settings.PUBLIC_URL = "https://studio.example.org"
        make_user()

        client.post("/accounts/password/reset/", {"email": "ines@example.org"})

        assert "https://studio.example.org/accounts/password/reset/key/" in mail.outbox[0].body
        assert "testserver" not in mail.outbox[0].body

    @pytest.mark.parametrize("email", ["ines@example.org", "nobody@example.org"])
    def test_says_when_no_message_went_out(self, client: Client, settings: Settings, email: str) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
        make_user("ines", email="ines@example.org")

        done = client.post("/accounts/password/reset/", {"email": email}, follow=True)

        assert done.status_code == 200
        assert "no message went out" in done.content.decode()

    def test_fills_nobody_s_mailbox(self, client: Client) -> None:
        make_user()

        told = [client.post("/accounts/password/reset/", {"email": "ines@example.org"}).status_code for _ in range(7)]

        assert told[:5] == [302] * 5
        assert 302 not in told[5:]
        assert len(mail.outbox) == 5

    def test_refuses_a_spent_link(self, client: Client) -> None:
        page = client.get("/accounts/password/reset/key/1-spent-link/", follow=True).content.decode()

        assert "This link is spent" in page


class TestConfirmation:
    @pytest.fixture(autouse=True)
    def with_confirmation(self, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = True
        settings.ACCOUNT_EMAIL_VERIFICATION = "optional"

    def test_lets_the_unconfirmed_in_but_not_spend(self, client: Client) -> None:
        client.post("/accounts/signup/", FORM)

        assert client.get("/settings/").status_code == 200
        assert "is not confirmed yet" in client.get("/settings/").content.decode()
        assert not may_spend(User.objects.get())

    def test_is_done_by_the_link_and_a_press(self, client: Client) -> None:
        client.post("/accounts/signup/", FORM)
        link = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body))
        assert link is not None

        page = client.get(link[1])
        assert "rui@example.org" in page.content.decode()
        assert not may_spend(User.objects.get())

        client.post(link[1])
        assert may_spend(User.objects.get())

    def test_gives_the_address_to_who_proves_it(self, client: Client) -> None:
        squatter = make_user("ana", email="Rui@example.org")
        rui = make_user("rui", email="old@example.org")
        client.force_login(rui)
        client.post("/accounts/confirm/", {"password": "correct horse"})
        client.post("/settings/", {"name": "", "email": "rui@example.org", "theme": ""})
        link = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body))
        assert link is not None

        client.post(link[1])

        assert may_spend(User.objects.get(pk=rui.pk))
        squatter.refresh_from_db()
        assert squatter.email == ""
        assert not may_spend(squatter)
        client.force_login(squatter)
        assert client.post("/settings/confirmation/").status_code == 302

    def test_takes_no_address_that_another_has_proven(self, client: Client) -> None:
        owner = make_user("ana", email="rui@example.org")
        EmailAddress.objects.create(user=owner, email=owner.email, primary=True, verified=True)
        rui = make_user("rui", email="old@example.org")
        address = EmailAddress.objects.create(user=rui, email=owner.email)

        client.post(reverse("account_confirm_email", args=[EmailConfirmationHMAC.create(address).key]))

        rui.refresh_from_db()
        owner.refresh_from_db()
        assert (rui.email, owner.email) == ("old@example.org", "rui@example.org")

    def test_counts_for_the_address_in_use_alone(self) -> None:
        user = make_user()
        EmailAddress.objects.create(user=user, email="old@example.org", verified=True)

        assert not may_spend(user)

    def test_never_lets_a_closed_account_spend(self, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = False

        assert not may_spend(make_user(is_active=False))


class TestKeptMail:
    def test_is_kept_and_printed(
        self, client: Client, settings: Settings, data_dir: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.EMAIL_BACKEND = "accounts.mail.KeptMailBackend"
        make_user()

        client.post("/accounts/password/reset/", {"email": "ines@example.org"})

        kept = list((data_dir / "mail").iterdir())
        assert len(kept) == 1
        assert "Set a new password" in kept[0].read_text()
        assert "/accounts/password/reset/key/" in capsys.readouterr().err
        assert (data_dir / "mail").stat().st_mode & 0o077 == 0


class TestAddresses:
    def test_are_those_that_are_offered(self, client: Client) -> None:
        for path in ("/accounts/reauthenticate/", "/accounts/login/code/confirm/", "/accounts/3rdparty/"):
            assert client.get(path).status_code == 404

    def test_are_the_site_s_own_in_commands(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        settings.PUBLIC_URL = "https://studio.example.org"

        call_command("invite", "rui@example.org")

        assert capsys.readouterr().out.startswith("https://studio.example.org/accounts/invitation/")
