"""Users' webhooks: signed, tried for a day, sent nowhere but to public hosts, and no burden to anybody else."""

import json
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.mail import MailUnsent
from accounts.models import User
from gallery.leases import LEASE
from generation.lifecycle import apply_update, cancel_prediction
from generation.models import OutgoingMessage, Prediction, WebhookEndpoint
from generation.models.outgoing import EVENT_OF
from generation.outgoing import endpoints
from generation.presentation import tell
from generation.states import TERMINAL, Status
from generation.tests.answering import LANE
from generation.tests.making import make_prediction, make_sent, make_user, says
from generation.tests.wire import Behaviour, Request, Wire, reset, silent
from generation.tests.wire import says as answers
from generation.work import outgoing
from generation.work.loop import run_once

pytestmark = pytest.mark.django_db
State = OutgoingMessage.State
OK = answers(204)


class Receiver:
    """A program of ada's that behaves as told, and its endpoint."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self.wire = wire
        settings.WEBHOOK_HOSTS = [*settings.WEBHOOK_HOSTS, wire.url.removeprefix("http://")]
        self.endpoint = endpoints.register(
            user=User.objects.get(username="ada"), url=f"{wire.url}/hook", now=timezone.now()
        )

    @property
    def requests(self) -> list[Request]:
        return self.wire.requests

    def reload(self) -> WebhookEndpoint:
        self.endpoint.refresh_from_db()
        return self.endpoint


@pytest.fixture
def receivers(settings: Settings) -> Iterator[Any]:
    """Makes receivers that are closed at the end; the user is ada."""
    make_user()
    wires: list[Wire] = []

    def receiver(*behaviours: Behaviour) -> Receiver:
        wires.append(Wire(list(behaviours)).__enter__())
        return Receiver(wires[-1], settings)

    yield receiver
    for wire in wires:
        wire.__exit__(None, None, None)


def end_one() -> Prediction:
    """A prediction of ada's that has ended."""
    now = timezone.now() - timedelta(seconds=1)
    prediction = make_prediction(user=User.objects.get(username="ada"), now=now)
    return cancel_prediction(prediction=prediction, now=now)


def send_due() -> int:
    """What is due goes out. The database's clock may lag ours by a millisecond."""
    now = timezone.now()
    OutgoingMessage.objects.filter(due_at__lte=now).update(due_at=F("due_at") - timedelta(seconds=1))
    return run_once(LANE["announce"])


def come_due() -> None:
    """As if all pauses were over."""
    WebhookEndpoint.objects.update(open_at=None)
    past = timezone.now() - timedelta(seconds=1)
    OutgoingMessage.objects.filter(state=State.WAITING).update(due_at=past, lease_until=None, lease_token=None)


def passes(time: timedelta) -> None:
    """As if everything had happened that much earlier."""
    OutgoingMessage.objects.update(requested_at=F("requested_at") - time)
    WebhookEndpoint.objects.exclude(failing_since=None).update(failing_since=F("failing_since") - time)
    come_due()


def verified(request: Request, secret: str) -> Any:
    """The body, by the independent library."""
    return Webhook(secret).verify(request.body, request.headers)


class TestAnnounce:
    def test_tells_the_prediction_as_the_api_does(self, receivers: Any) -> None:
        receiver = receivers(OK)
        prediction = end_one()

        send_due()

        [request] = receiver.requests
        body = verified(request, receiver.endpoint.secret)
        assert (request.method, request.path) == ("POST", "/hook")
        assert request.headers["content-type"] == "application/json"
        assert body["type"] == "prediction.canceled"
        assert body["data"] == json.loads(json.dumps(tell(prediction)))
        message = OutgoingMessage.objects.get()
        assert request.headers["webhook-id"] == f"msg_{message.pk.hex}"
        assert (message.state, message.due_at, message.tries[0]["status"]) == (State.DELIVERED, None, 204)

    @pytest.mark.parametrize(
        ("word", "event"),
        [("failed", "prediction.failed"), ("canceled", "prediction.canceled"), ("aborted", "prediction.canceled")],
    )
    def test_tells_each_end_by_its_name(self, receivers: Any, word: str, event: str) -> None:
        receivers(OK)
        now = timezone.now()
        _, attempt = make_sent(user=User.objects.get(), now=now)

        apply_update(attempt=attempt, update=says(word, error="NSFW"), now=now)

        assert OutgoingMessage.objects.get().event == event

    def test_knows_every_end(self) -> None:
        assert set(EVENT_OF) == TERMINAL
        assert EVENT_OF[Status.SUCCEEDED] == "prediction.succeeded"
        assert EVENT_OF[Status.LOST] == "prediction.lost"

    def test_asks_only_those_who_want_to_know(self, receivers: Any) -> None:
        receiver = receivers(OK)
        endpoints.change(endpoint=receiver.endpoint, changes={"events": ["prediction.succeeded"]}, now=timezone.now())
        endpoints.register(user=make_user(username="bob"), url="https://hooks.example.com/", now=timezone.now())

        end_one()

        assert not OutgoingMessage.objects.exists()

    def test_goes_with_the_transaction(self, receivers: Any) -> None:
        receivers(OK)

        with transaction.atomic():
            end_one()
            transaction.set_rollback(True)

        assert not OutgoingMessage.objects.exists()


class TestSignature:
    def test_is_by_both_secrets_while_they_overlap(self, receivers: Any) -> None:
        receiver = receivers(OK)
        before = receiver.endpoint.secret
        after = endpoints.rotate(endpoint=receiver.endpoint, now=timezone.now()).secret
        end_one()

        send_due()

        for secret in (before, after):
            verified(receiver.requests[0], secret)
        with pytest.raises(WebhookVerificationError):
            verified(receiver.requests[0], endpoints.new_secret())

    def test_is_by_the_new_one_alone_after_a_day(self, receivers: Any) -> None:
        receiver = receivers(OK)
        before = receiver.endpoint.secret
        endpoints.rotate(endpoint=receiver.endpoint, now=timezone.now() - timedelta(hours=25))
        end_one()

        send_due()

        verified(receiver.requests[0], receiver.endpoint.secret)
        with pytest.raises(WebhookVerificationError):
            verified(receiver.requests[0], before)

    def test_is_by_each_secret_that_two_rotations_at_once_have_shown(self, receivers: Any) -> None:
        receiver = receivers(OK)
        rival = WebhookEndpoint.objects.get()
        shown = [endpoints.rotate(endpoint=row, now=timezone.now()).secret for row in (rival, receiver.endpoint)]
        end_one()

        send_due()

        for secret in shown:
            verified(receiver.requests[0], secret)


class TestFailures:
    @pytest.mark.parametrize(
        "behaviour", [answers(500), answers(404), answers(302, location="http://127.0.0.1:1/"), reset, answers(199)]
    )
    def test_are_tried_again_under_the_same_id(self, receivers: Any, behaviour: Behaviour) -> None:
        receiver = receivers(behaviour, OK)
        end_one()

        send_due()
        message = OutgoingMessage.objects.get()
        assert (message.state, message.failures) == (State.WAITING, 1)
        assert message.due_at is not None and message.due_at > timezone.now()
        assert send_due() == 0
        come_due()
        send_due()

        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert receiver.reload().failures == 0
        message.refresh_from_db()
        assert (message.state, len(message.tries)) == (State.DELIVERED, 2)

    def test_of_a_receiver_that_hangs_end_by_themselves(self, receivers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outgoing, "POST_SECONDS", 0.3)
        receivers(silent)
        end_one()

        send_due()

        message = OutgoingMessage.objects.get()
        assert message.tries[0]["error"] == "not_reached"
        assert message.state == State.WAITING

    def test_follow_no_redirect(self, receivers: Any, settings: Settings) -> None:
        inner = receivers(OK)
        receiver = receivers(answers(307, location=f"{inner.wire.url}/inner"))
        WebhookEndpoint.objects.filter(pk=inner.endpoint.pk).delete()
        end_one()

        send_due()

        assert len(receiver.requests) == 1
        assert inner.requests == []

    def test_are_given_up_after_a_day(self, receivers: Any) -> None:
        receiver = receivers(answers(500))
        end_one()

        for _ in range(20):
            send_due()
            passes(timedelta(hours=3))

        message = OutgoingMessage.objects.get()
        assert (message.state, message.due_at) == (State.FAILED, None)
        assert 5 <= len(receiver.requests) <= 9

    def test_leave_the_endpoint_alone_for_a_while(self, receivers: Any) -> None:
        receiver = receivers(answers(503))
        end_one()
        end_one()

        assert send_due() == 1
        assert send_due() == 0

        open_at = receiver.reload().open_at
        assert open_at is not None and open_at > timezone.now()

    def test_bring_the_rest_back_once_it_works(self, receivers: Any) -> None:
        receiver = receivers(answers(503), answers(503), OK)
        end_one()
        end_one()
        send_due()
        WebhookEndpoint.objects.update(open_at=None)
        send_due()
        WebhookEndpoint.objects.update(open_at=None)
        first = OutgoingMessage.objects.all()[0]
        OutgoingMessage.objects.filter(pk=first.pk).update(due_at=timezone.now() - timedelta(seconds=1))

        send_due()
        send_due()

        assert len(receiver.requests) == 4
        assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {State.DELIVERED}

    def test_of_a_day_disable_the_endpoint_and_tell_its_owner(self, receivers: Any) -> None:
        receiver = receivers(answers(500))
        end_one()
        send_due()
        passes(timedelta(hours=25))

        outgoing.keep_house(now=timezone.now())
        outgoing.keep_house(now=timezone.now())

        assert receiver.reload().disabled_for == "failing"
        assert OutgoingMessage.objects.get().state == State.FAILED
        [message] = mail.outbox
        assert message.to == ["ada@example.com"]
        assert "failed for a day" in message.body
        end_one()
        assert OutgoingMessage.objects.count() == 1

    def test_with_410_disable_it_at_once(self, receivers: Any) -> None:
        receiver = receivers(answers(410))
        end_one()
        end_one()

        send_due()

        assert receiver.reload().disabled_for == "gone"
        assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {State.FAILED}
        assert send_due() == 0

    def test_of_the_mail_server_are_told_later(self, receivers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def unsent(**_: Any) -> None:
            raise MailUnsent("away")

        receiver = receivers(answers(410))
        end_one()
        send_due()
        with monkeypatch.context() as patch:
            patch.setattr("accounts.mail.send", unsent)
            outgoing.keep_house(now=timezone.now())
        assert receiver.reload().told_at is None

        outgoing.keep_house(now=timezone.now())

        assert len(mail.outbox) == 1


class TestAddresses:
    def test_that_turn_private_are_not_connected_to(self, receivers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def private(host: str, port: int, **_: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        receiver = receivers(OK)
        WebhookEndpoint.objects.update(url="https://hooks.example.com/")
        monkeypatch.setattr(socket, "getaddrinfo", private)
        end_one()

        send_due()

        assert receiver.requests == []
        assert OutgoingMessage.objects.get().tries[0]["error"] == "not_reached"


class TestFairness:
    def test_sends_one_at_a_time_to_each(self, receivers: Any) -> None:
        first, second = receivers(OK), receivers(OK)
        for _ in range(3):
            end_one()

        assert send_due() == 2

        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert send_due() + send_due() + send_due() == 4

    def test_leaves_alone_what_another_worker_sends(self, receivers: Any) -> None:
        receivers(OK)
        end_one()
        end_one()
        [held] = outgoing.take(4)

        assert outgoing.take(4) == []

        OutgoingMessage.objects.filter(pk=held.pk).update(lease_until=timezone.now() - LEASE)
        assert [message.pk for message in outgoing.take(1)] == [held.pk]

    def test_writes_nothing_under_a_lost_lease(self, receivers: Any) -> None:
        receivers(OK)
        end_one()
        [late] = outgoing.take(1)
        OutgoingMessage.objects.update(lease_until=timezone.now() - LEASE)
        [again] = outgoing.take(1)

        outgoing.send(late)
        assert OutgoingMessage.objects.get().state == State.WAITING
        outgoing.send(again)

        assert OutgoingMessage.objects.get().state == State.DELIVERED


class TestAClosedAccount:
    def test_is_told_nothing_more(self, receivers: Any) -> None:
        receiver = receivers(OK)
        end_one()
        User.objects.update(is_active=False)

        assert send_due() == 0
        outgoing.keep_house(now=timezone.now())

        assert receiver.requests == []
        assert OutgoingMessage.objects.get().state == State.FAILED


class TestHands:
    def test_send_a_test(self, receivers: Any) -> None:
        receiver = receivers(OK)
        endpoints.send_test(endpoint=receiver.endpoint, now=timezone.now())

        send_due()

        assert verified(receiver.requests[0], receiver.endpoint.secret)["type"] == "webhook.test"

    def test_send_again_the_same(self, receivers: Any) -> None:
        receiver = receivers(OK)
        end_one()
        send_due()

        endpoints.send_again(message=OutgoingMessage.objects.get(), now=timezone.now())
        send_due()

        first, second = receiver.requests
        assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)

    def test_send_nothing_to_what_is_disabled(self, receivers: Any) -> None:
        receiver = receivers(OK)
        end_one()
        endpoints.change(endpoint=receiver.endpoint, changes={"enabled": False}, now=timezone.now())

        with pytest.raises(endpoints.NotSent):
            endpoints.send_test(endpoint=receiver.reload(), now=timezone.now())

        assert OutgoingMessage.objects.get().state == State.FAILED
        assert mail.outbox == []

    def test_enable_again_with_a_clean_record(self, receivers: Any) -> None:
        receiver = receivers(answers(410), OK)
        end_one()
        send_due()

        endpoints.change(endpoint=receiver.reload(), changes={"enabled": True}, now=timezone.now())
        endpoints.send_again(message=OutgoingMessage.objects.get(), now=timezone.now())
        send_due()

        assert (receiver.reload().failures, receiver.endpoint.disabled_at) == (0, None)
        assert OutgoingMessage.objects.get().state == State.DELIVERED


class TestHouse:
    def test_gives_up_what_belongs_to_nobody(self, receivers: Any) -> None:
        receiver = receivers(OK)
        end_one()
        WebhookEndpoint.objects.filter(pk=receiver.endpoint.pk)._raw_delete("default")

        outgoing.keep_house(now=timezone.now())

        assert OutgoingMessage.objects.get().state == State.FAILED

    @pytest.mark.parametrize("quarantined", [False, True])
    def test_forgets_after_a_month(self, receivers: Any, quarantined: bool) -> None:
        receivers(OK)
        end_one()
        later: datetime = timezone.now() + timedelta(days=31)
        if quarantined:
            OutgoingMessage.objects.update(quarantined_at=later)
        else:
            send_due()

        outgoing.keep_house(now=later)

        assert not OutgoingMessage.objects.exists()
