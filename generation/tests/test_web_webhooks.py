"""The pages of webhooks: their owner alone, secrets shown once, and everything without a script."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from generation.models import OutgoingMessage, WebhookEndpoint
from generation.outgoing import endpoints
from generation.tests.making import make_user

pytestmark = pytest.mark.django_db
PAGE = "/settings/webhooks/"
FORM: dict[str, Any] = {
    "url": "https://hooks.example.com/studio",
    "description": "edit-bay",
    "events": ["prediction.succeeded", "prediction.lost"],
}


@pytest.fixture
def owner(client: Client) -> User:
    """Signed in on `client`."""
    user = make_user()
    client.force_login(user)
    return user


def registered(user: User) -> WebhookEndpoint:
    return endpoints.register(user=user, url="https://hooks.example.com/", now=timezone.now())


class TestPages:
    def test_register_and_show_the_secret_once(self, client: Client, owner: User) -> None:
        response = client.post(PAGE, FORM)

        row = WebhookEndpoint.objects.get()
        assert row.secret in response.content.decode()
        assert "no-store" in response["Cache-Control"]
        assert row.events == FORM["events"]
        for path in (PAGE, f"{PAGE}{row.pk}/"):
            page = client.get(path).content.decode()
            assert "edit-bay" in page
            assert row.secret not in page

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"url": "https://10.0.0.1/"}, "Give an https address of a public host"),
            ({"url": ""}, "This field is required."),
            ({"events": []}, "Choose at least one"),
        ],
    )
    def test_refuse_with_a_reason(self, client: Client, owner: User, change: dict[str, Any], sentence: str) -> None:
        response = client.post(PAGE, FORM | change)

        assert response.status_code == 422
        assert sentence in response.content.decode()
        assert not WebhookEndpoint.objects.exists()

    def test_change_it(self, client: Client, owner: User) -> None:
        row = registered(owner)

        assert client.post(f"{PAGE}{row.pk}/", FORM).status_code == 302
        assert client.post(f"{PAGE}{row.pk}/", FORM | {"url": "http://x"}).status_code == 422

        row.refresh_from_db()
        assert (row.url, row.description) == (FORM["url"], "edit-bay")

    def test_switch_it_off_and_on(self, client: Client, owner: User) -> None:
        row = registered(owner)

        client.post(f"{PAGE}{row.pk}/switch/", {"enabled": "0"})
        assert "disabled by its owner" in client.get(f"{PAGE}{row.pk}/").content.decode()
        client.post(f"{PAGE}{row.pk}/switch/", {"enabled": "1"})

        row.refresh_from_db()
        assert row.disabled_at is None

    def test_give_a_new_secret_by_a_post_alone(self, client: Client, owner: User) -> None:
        row = registered(owner)

        assert client.get(f"{PAGE}{row.pk}/secret/").status_code == 302
        assert WebhookEndpoint.objects.get().secret == row.secret
        found = re.search(r"whsec_[A-Za-z0-9+/=]+", client.post(f"{PAGE}{row.pk}/secret/").content.decode())

        assert found and found[0] == WebhookEndpoint.objects.get().secret != row.secret

    def test_send_a_test_and_send_it_again(self, client: Client, owner: User) -> None:
        row = registered(owner)
        client.post(f"{PAGE}{row.pk}/test/")
        tries = [{"at": "2026-07-16T12:00:00Z", "status": 503, "milliseconds": 12}]
        OutgoingMessage.objects.update(state="failed", due_at=None, tries=tries)
        message = OutgoingMessage.objects.get()
        assert "answered 503, 1 try" in client.get(f"{PAGE}{row.pk}/").content.decode()
        shown = client.get(f"{PAGE}{row.pk}/deliveries/{message.pk}/").content.decode()
        assert message.webhook_id in shown and "This is a test." in shown

        client.post(f"{PAGE}{row.pk}/deliveries/{message.pk}/resend/")

        assert OutgoingMessage.objects.get().state == "waiting"

    def test_delete_it_after_asking(self, client: Client, owner: User) -> None:
        row = registered(owner)

        assert "Delete this webhook?" in client.get(f"{PAGE}{row.pk}/delete/").content.decode()
        assert WebhookEndpoint.objects.exists()
        client.post(f"{PAGE}{row.pk}/delete/")

        assert not WebhookEndpoint.objects.exists()


class TestStrangers:
    def test_find_nothing(self, client: Client, owner: User) -> None:
        row = registered(make_user(username="bob"))
        message = endpoints.send_test(endpoint=row, now=timezone.now())
        path = f"{PAGE}{row.pk}/"

        assert client.get(path).status_code == 404
        assert client.get(f"{path}deliveries/{message.pk}/").status_code == 404
        for act in ("", "switch/", "secret/", "test/", "delete/", f"deliveries/{message.pk}/resend/"):
            assert client.post(f"{path}{act}", FORM).status_code == 404
        assert str(row.pk) not in client.get(PAGE).content.decode()

    def test_are_sent_to_the_door(self, client: Client) -> None:
        row = registered(make_user())

        for path in (PAGE, f"{PAGE}{row.pk}/", f"{PAGE}{row.pk}/test/"):
            assert client.post(path)["Location"].startswith("/accounts/login/")

    def test_forge_nothing(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        user = make_user()
        strict.force_login(user)
        row = registered(user)

        for path in (PAGE, f"{PAGE}{row.pk}/", f"{PAGE}{row.pk}/delete/"):
            assert strict.post(path, FORM).status_code == 403
