"""What an administrator may see and change, and what nobody may."""

import re
import uuid

import pytest
from django.conf import settings as configured
from django.test import Client
from django.utils import timezone

from accounts import quotas
from accounts.models import ApiToken, Invitation, User
from accounts.tests.factories import hold, make_user
from accounts.tokens import create_token, digest_of

pytestmark = pytest.mark.django_db
ADMIN = f"/{configured.ADMIN_PATH}accounts"


@pytest.fixture
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = User.objects.create_superuser("root", "root@example.org", "correct horse")
    client.force_login(user)
    return user


class TestUserAdmin:
    def test_shows_limits_with_the_spend_beside_them(self, client: Client, administrator: User) -> None:
        user, now = make_user(), timezone.now()
        entry = hold(user, provider="sandbox", now=now)
        quotas.settle(reference=entry.reference, amount_micros=1_234_000, estimated=False, end="succeeded", now=now)

        page = client.get(f"{ADMIN}/user/").content.decode()

        assert "$1.234" in page
        assert 'value="5"' in page

    def test_changes_limits_in_dollars(self, client: Client, administrator: User) -> None:
        user = make_user()
        rows = list(User.objects.order_by("username"))
        form = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": len(rows), "_save": "Save"}
        for index, row in enumerate(rows):
            form |= {
                f"form-{index}-id": row.pk,
                f"form-{index}-daily_count_limit": 9,
                f"form-{index}-monthly_count_limit": "",
            }
            form |= {f"form-{index}-daily_micros_limit": "0.039", f"form-{index}-monthly_micros_limit": ""}

        response = client.post(f"{ADMIN}/user/?o=1", form)

        assert response.status_code == 302
        user.refresh_from_db()
        assert (user.daily_micros_limit, user.monthly_micros_limit) == (39_000, None)
        assert (user.daily_count_limit, user.monthly_count_limit) == (9, None)

    def test_opens_one_account(self, client: Client, administrator: User) -> None:
        assert client.get(f"{ADMIN}/user/{administrator.pk}/change/").status_code == 200


class TestMoney:
    @pytest.mark.parametrize("model", ["ledgerentry", "quotaperiod"])
    def test_is_read_and_never_written(self, client: Client, administrator: User, model: str) -> None:
        entry = hold(make_user())
        pk = entry.pk if model == "ledgerentry" else entry.periods[0]

        assert client.get(f"{ADMIN}/{model}/").status_code == 200
        assert client.get(f"{ADMIN}/{model}/{pk}/change/").status_code == 200
        assert client.get(f"{ADMIN}/{model}/add/").status_code == 403
        assert client.post(f"{ADMIN}/{model}/{pk}/change/", {"amount_micros": 1}).status_code == 403
        assert client.post(f"{ADMIN}/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403


class TestApiTokenAdmin:
    def test_shows_no_digest(self, client: Client, administrator: User) -> None:
        row, token = create_token(user=make_user(), name="edit-bay", expires_at=None, now=timezone.now())

        for path in (f"{ADMIN}/apitoken/", f"{ADMIN}/apitoken/{row.pk}/change/"):
            page = client.get(path).content.decode()
            assert "edit-bay" in page
            assert digest_of(token) not in page

    def test_revokes(self, client: Client, administrator: User) -> None:
        row, _ = create_token(user=make_user(), name="edit-bay", expires_at=None, now=timezone.now())

        client.post(f"{ADMIN}/apitoken/", {"action": "revoke", "_selected_action": [row.pk]})

        assert ApiToken.objects.get().revoked_at is not None


class TestInvitationAdmin:
    def test_shows_the_link_once(self, client: Client, administrator: User) -> None:
        page = client.post(f"{ADMIN}/invitation/add/", {"email": "rui@example.org"}, follow=True)

        link = r"http://testserver/accounts/invitation/\S{43}/"
        assert re.search(link, page.content.decode())
        assert Invitation.objects.get().email == "rui@example.org"
        assert not re.search(link, client.get(f"{ADMIN}/invitation/").content.decode())


class TestDoor:
    def test_is_the_site_s_own(self, client: Client) -> None:
        response = client.get(f"{ADMIN}/user/", follow=True)

        assert response.redirect_chain[-1][0].startswith("/accounts/login/?next=")

    def test_is_shut_to_creators(self, client: Client) -> None:
        client.force_login(make_user())

        assert client.get(f"{ADMIN}/user/", follow=True).status_code == 403
        assert client.get(f"{ADMIN}/ledgerentry/{uuid.uuid4().int % 10}/change/", follow=True).status_code == 403


@pytest.mark.parametrize("page", ["auth/group", "account/emailaddress", "accounts/user"])
def test_a_number_that_no_column_has_is_no_fault(client: Client, administrator: User, page: str) -> None:
    response = client.get(f"/{configured.ADMIN_PATH}{page}/?pk__in={10**30}")

    # SQLite refuses it like any strange parameter, PostgreSQL knows it for a number that no row has.
    assert response.status_code in (200, 302)
