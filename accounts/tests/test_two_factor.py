"""Two-factor sign-in, the list of sessions, and the admin behind both."""

import re
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.usersessions.models import UserSession
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import two_factor
from accounts.models import CacheRow, User
from accounts.signed_in import described
from accounts.tests.factories import make_user
from accounts.tests.overseeing import ADMIN

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse"


def code_of(secret: str, *, steps: int = 0) -> str:
    """What an authenticator app shows now, or some half minutes from now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


def sign_in(client: Client, name: str = "ines", *, code: str = "", next: str = "") -> str:
    """By the form; returns where it leads."""
    response = client.post("/accounts/login/", {"login": name, "password": PASSWORD, "next": next})
    if code:
        assert response["Location"].startswith("/accounts/code/")
        response = client.post("/accounts/code/", {"code": code})
    return response.headers.get("Location", "")


def confirm(client: Client) -> None:
    """Give the password once more, as the pages that guard the account ask for it."""
    assert client.post("/accounts/confirm/", {"password": PASSWORD}).status_code == 302


def turn_on(client: Client) -> str:
    """Set an app up; returns its key."""
    confirm(client)
    shown = client.get("/settings/security/app/")
    assert "no-store" in shown["Cache-Control"]
    found = re.search(r'id="totp-secret">(\w+)<', shown.content.decode())
    assert found is not None
    response = client.post("/settings/security/app/", {"code": code_of(found[1], steps=-1)})
    assert response["Location"] == "/settings/security/codes/"
    return found[1]


@pytest.fixture
def ines(client: Client) -> User:
    """Signed in on `client`, by the form."""
    user = make_user()
    sign_in(client)
    return user


class TestTurningOn:
    def test_asks_for_the_password_first(self, client: Client, ines: User) -> None:
        assert client.get("/settings/security/app/")["Location"].startswith("/accounts/confirm/")

    def test_asks_for_a_code_from_then_on(self, client: Client, ines: User) -> None:
        secret = turn_on(client)
        elsewhere = Client()

        assert sign_in(elsewhere).startswith("/accounts/code/")
        assert elsewhere.get("/settings/").status_code == 302
        wrong = elsewhere.post("/accounts/code/", {"code": "000000"})
        assert "That code is not right" in wrong.content.decode()
        assert elsewhere.post("/accounts/code/", {"code": code_of(secret)})["Location"] == "/"
        assert elsewhere.get("/settings/").status_code == 200

    def test_takes_a_code_once(self, client: Client, ines: User, settings: Settings) -> None:
        secret = turn_on(client)
        code = code_of(secret)
        assert sign_in(Client(), code=code) == "/"

        assert sign_in(Client(), code=code) == ""
        # As long as a code is good; with Redis it is remembered there.
        remembered = CacheRow.objects.filter(key__contains="totp.used")
        assert settings.REDIS_URL or remembered.exists()
        assert not remembered.filter(expires_at__lt=timezone.now() + timedelta(seconds=80)).exists()

    def test_keeps_no_key_that_can_be_read(self, client: Client, ines: User) -> None:
        secret = turn_on(client)
        shown = client.get("/settings/security/codes/").content.decode()
        codes = re.findall(r"<li><code>(\d{8})</code>", shown)

        kept = str(list(Authenticator.objects.values_list("data", flat=True)))

        assert len(codes) == 10
        assert secret not in kept
        assert not any(code in kept for code in codes)

    def test_bounds_the_guesses(self, client: Client, ines: User) -> None:
        turn_on(client)
        guesser = Client()
        sign_in(guesser)

        answers = [guesser.post("/accounts/code/", {"code": f"{number:06}"}) for number in range(7)]

        assert "Too many attempts" in answers[-1].content.decode()


class TestRecoveryCodes:
    def test_open_the_account_once_each(self, client: Client, ines: User) -> None:
        turn_on(client)
        codes = client.get("/settings/security/codes/file/").content.decode().split()
        code = next(word for word in codes if re.fullmatch(r"\d{8}", word))

        assert sign_in(Client(), code=code) == "/"
        assert sign_in(Client(), code=code) == ""
        assert "9 recovery codes are left" in client.get("/settings/security/").content.decode()

    def test_are_made_anew(self, client: Client, ines: User) -> None:
        turn_on(client)
        before = client.get("/settings/security/codes/file/").content

        client.post("/settings/security/codes/new/")

        assert client.get("/settings/security/codes/file/").content != before


class TestTurningOff:
    def test_leaves_the_password(self, client: Client, ines: User) -> None:
        turn_on(client)

        client.post("/settings/security/app/off/")

        assert sign_in(Client()) == "/"
        assert not Authenticator.objects.exists()

    def test_is_an_operator_s_for_who_has_lost_both(self, client: Client, ines: User) -> None:
        turn_on(client)

        call_command("reset_two_factor", "ines")

        assert sign_in(Client()) == "/"


class TestKeys:
    def test_outlive_a_new_secret_key(self, client: Client, ines: User, settings: Settings) -> None:
        secret = turn_on(client)
        old = settings.SECRET_KEY
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 50, [old]
        assert sign_in(Client(), code=code_of(secret)) == "/"

        call_command("renew_secrets")

        settings.SECRET_KEY_FALLBACKS = []
        assert sign_in(Client(), code=code_of(secret, steps=1)) == "/"

    def test_that_cannot_be_read_open_nothing(self, client: Client, ines: User, settings: Settings) -> None:
        turn_on(client)
        settings.SECRET_KEY = "n" * 50

        for guess in (code_of(""), *two_factor_codes_of("")):
            assert sign_in(Client(REMOTE_ADDR=f"10.0.0.{len(guess)}"), code=guess) == ""

        assert two_factor.keep_under_newest_key() == 0


def two_factor_codes_of(seed: str) -> list[str]:
    """The recovery codes that an empty seed would give."""
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    row = Authenticator(type="recovery_codes", data={"seed": two_factor.ciphers().encrypt(seed.encode()).decode()})
    return list(RecoveryCodes(row).generate_codes()[:2])


class TestSessions:
    def test_are_listed_with_this_one_first(self, client: Client, ines: User) -> None:
        phone = Client(headers={"user-agent": "Mozilla/5.0 (iPhone; CPU) Version/18.0 Mobile Safari/604.1"})
        sign_in(phone)

        shown = client.get("/settings/security/").content.decode()

        assert shown.index("this one") < shown.index("Safari on iPhone")

    def test_of_others_are_not(self, client: Client, ines: User) -> None:
        make_user("rui")
        sign_in(Client(headers={"user-agent": "curl/8"}), "rui")

        assert "curl" not in client.get("/settings/security/").content.decode()

    def test_end_everywhere_else(self, client: Client, ines: User) -> None:
        make_user("rui")
        mine, another_s = Client(), Client()
        sign_in(mine)
        sign_in(another_s, "rui")

        client.post("/settings/security/sign-out-others/")

        assert client.get("/settings/").status_code == 200
        assert another_s.get("/settings/").status_code == 200
        assert mine.get("/settings/").status_code == 302
        assert UserSession.objects.filter(user=ines).count() == 1

    @pytest.mark.parametrize(
        ("agent", "words"),
        [
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36", "Chrome on Linux"),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
            ("<script>alert(1)</script>", "An unknown browser"),
            ("", "An unknown browser"),
        ],
    )
    def test_are_named_in_our_words(self, agent: str, words: str) -> None:
        assert described(agent) == words


class TestAdmin:
    @pytest.fixture(autouse=True)
    def production(self, settings: Settings) -> None:
        settings.ADMIN_TWO_FACTOR = True

    @pytest.fixture
    def root(self, client: Client) -> User:
        user = make_user("root", is_staff=True, is_superuser=True)
        sign_in(client, "root")
        return user

    def test_sends_who_has_none_to_set_it_up(self, client: Client, root: User) -> None:
        assert client.get(ADMIN)["Location"] == "/settings/security/app/"
        assert client.post(f"{ADMIN}accounts/user/add/", {"username": "x"})["Location"] == "/settings/security/app/"

        turn_on(client)

        # The code that turned it on was the app's; this session gives one as its second factor, too.
        assert client.get(ADMIN)["Location"] == f"/accounts/confirm/code/?next=%2F{ADMIN.strip('/')}%2F"

    def test_opens_to_a_session_that_has_given_a_code(self, client: Client, root: User) -> None:
        secret = turn_on(client)
        another = Client()

        assert sign_in(another, "root", code=code_of(secret), next=ADMIN) == ADMIN
        assert another.get(ADMIN).status_code == 200

    def test_asks_a_session_that_was_opened_before(self, client: Client, root: User) -> None:
        before = Client()
        sign_in(before, "root")
        secret = turn_on(client)

        asked = before.get(f"{ADMIN}accounts/user/?q=a")["Location"]
        answer = before.post(asked, {"code": code_of(secret), "next": f"{ADMIN}accounts/user/?q=a"})

        assert answer["Location"] == f"{ADMIN}accounts/user/?q=a"
        assert before.get(ADMIN).status_code == 200

    def test_shows_no_page_of_keys(self, client: Client, root: User, settings: Settings) -> None:
        settings.ADMIN_TWO_FACTOR = False

        shown = client.get(ADMIN).content.decode()

        assert "mfa/" not in shown
        assert client.get(f"{ADMIN}mfa/authenticator/").status_code == 404

    def test_is_still_closed_to_everybody_else(self, client: Client) -> None:
        assert client.get(ADMIN).status_code == 302
        make_user()
        sign_in(client)
        assert client.get(ADMIN, follow=True).status_code == 403

    def test_asks_for_nothing_on_a_laptop(self, client: Client, root: User, settings: Settings) -> None:
        settings.ADMIN_TWO_FACTOR = False

        assert client.get(ADMIN).status_code == 200
