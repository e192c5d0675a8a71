"""Users' webhooks in the admin: no secret is shown, and a message can be sent again."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.overseeing import ADMIN, make_administrator, page, said
from generation.lifecycle import cancel_prediction
from generation.models import OutgoingMessage, WebhookEndpoint
from generation.outgoing import endpoints
from generation.tests.making import make_prediction, make_user
from generation.tests.test_admin_actions import act

pytestmark = pytest.mark.django_db
ENDPOINTS, MESSAGES = "generation/webhookendpoint/", "generation/outgoingmessage/"
LIST = f"{ADMIN}{MESSAGES}"
State = OutgoingMessage.State


@pytest.fixture(autouse=True)
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = make_administrator()
    client.force_login(user)
    return user


@pytest.fixture
def message() -> OutgoingMessage:
    """One to ada's program, given up."""
    now = timezone.now()
    ada = make_user()
    endpoints.register(user=ada, url="https://hooks.example.com/studio?key=k3yw0rd", now=now)
    cancel_prediction(prediction=make_prediction(user=ada, now=now), now=now)
    tries = [{"at": "2026-07-16T12:00:00Z", "status": 500, "milliseconds": 12}]
    OutgoingMessage.objects.update(state=State.FAILED, due_at=None, failures=9, tries=tries, body='{"type": "<b>"}')
    return OutgoingMessage.objects.get()


class TestPages:
    def test_show_no_secret_and_no_key(self, client: Client, message: OutgoingMessage) -> None:
        endpoint = endpoints.rotate(endpoint=message.endpoint, now=timezone.now())
        places = [ENDPOINTS, f"{ENDPOINTS}{endpoint.pk}/change/", MESSAGES, f"{MESSAGES}{message.pk}/change/"]

        for shown in (page(client, place) for place in places):
            assert "hooks.example.com" in shown
            for secret in ("k3yw0rd", endpoint.secret, endpoint.previous_secret):
                assert secret not in shown

    def test_show_what_was_said_and_every_try(self, client: Client, message: OutgoingMessage) -> None:
        shown = page(client, f"{MESSAGES}{message.pk}/change/")

        assert "&lt;b&gt;" in shown and "&quot;status&quot;: 500" in shown and message.webhook_id in shown
        assert f"/generation/prediction/{message.prediction_id}/change/" in shown

    def test_find_by_state_and_whole_words(self, client: Client, message: OutgoingMessage) -> None:
        for word in (message.webhook_id, str(message.pk), str(message.prediction_id)):
            assert "prediction.canceled" in page(client, MESSAGES, q=word, state="failed")
        assert "prediction.canceled" in page(client, MESSAGES, endpoint=str(message.endpoint_id))
        for other in ({"q": "ada"}, {"state": "waiting"}, {"state": "set_aside"}, {"endpoint": str(uuid.uuid4())}):
            assert "prediction.canceled" not in page(client, MESSAGES, **other)

    def test_find_endpoints_by_owner_and_state(self, client: Client, message: OutgoingMessage) -> None:
        address = "https://hooks.example.com/studio"
        assert address in page(client, ENDPOINTS, q="ada", state="enabled")
        assert address in page(client, ENDPOINTS, q=str(message.endpoint_id))
        assert address not in page(client, ENDPOINTS, q="ben")
        assert address not in page(client, ENDPOINTS, state="trouble")
        WebhookEndpoint.objects.update(failing_since=timezone.now())
        assert address in page(client, ENDPOINTS, state="trouble")
        assert address not in page(client, ENDPOINTS, state="failing")
        endpoints.disable(endpoint=message.endpoint, reason=WebhookEndpoint.DisabledFor.GONE, now=timezone.now())

        shown = page(client, ENDPOINTS, state="gone")

        assert address in shown and "disabled: it answered 410 Gone" in shown


class TestSendAgain:
    def test_queues_the_same_message(self, client: Client, message: OutgoingMessage) -> None:
        OutgoingMessage.objects.update(quarantined_at=timezone.now(), claims=5)

        response = act(client, "send_again", message, at=LIST)

        assert "Sent again" in said(response)[0]
        again = OutgoingMessage.objects.get()
        assert (again.pk, again.body, again.state, again.claims) == (message.pk, message.body, State.WAITING, 0)

    def test_says_why_not(self, client: Client, message: OutgoingMessage) -> None:
        WebhookEndpoint.objects.update(disabled_at=timezone.now(), disabled_for="owner")
        assert "This webhook is disabled" in said(act(client, "send_again", message, at=LIST))[0]

        until = timezone.now() + timedelta(seconds=30)
        OutgoingMessage.objects.update(lease_until=until, lease_token=uuid.uuid4())
        assert "It is being sent just now." in said(act(client, "send_again", message, at=LIST))[0]
        assert OutgoingMessage.objects.get().state == State.FAILED
