"""/api/webhooks: registered, changed, tested and sent again by their owner, and by nobody else."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import ApiToken
from accounts.tests.test_reserve import run_together
from generation.lifecycle import cancel_prediction
from generation.models import OutgoingMessage, WebhookEndpoint
from generation.outgoing import endpoints
from generation.tests.calling import Caller, problem, refused
from generation.tests.making import make_prediction, make_user

pytestmark = pytest.mark.django_db
PATH = "/api/webhooks"
URL = "https://hooks.example.com/studio?key=1"


@pytest.fixture
def caller() -> Caller:
    return Caller(make_user())


def register(caller: Caller, **body: Any) -> dict[str, Any]:
    """A webhook, with its secret."""
    response = caller.post(PATH, {"url": URL} | body)
    assert response.status_code == 201, response.content
    answer: dict[str, Any] = response.json()
    assert response["Location"] == f"{PATH}/{answer['id']}"
    return answer


def end_one(caller: Caller) -> OutgoingMessage:
    now = timezone.now()
    cancel_prediction(prediction=make_prediction(user=caller.user, now=now), now=now)
    return OutgoingMessage.objects.get()


def patch(caller: Caller, path: str, body: Any) -> Any:
    return caller.client.patch(path, body, content_type="application/json", headers=caller.headers({}))


class TestRegister:
    def test_shows_the_secret_once(self, caller: Caller) -> None:
        made = register(caller, events=["prediction.failed"], description="nightly")

        assert made["secret"].startswith("whsec_")
        assert (made["events"], made["enabled"]) == (["prediction.failed"], True)
        assert made["secret"] not in caller.get(f"{PATH}/{made['id']}").content.decode()
        assert made["secret"] not in caller.get(PATH).content.decode()

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://user:pw@hooks.example.com/",
            "javascript:alert(1)",
            "",
            "https://hooks.example.com:22/",
            "https://" + "a" * 2000,
        ],
    )
    def test_refuses_addresses_that_nothing_is_sent_to(self, caller: Caller, url: str) -> None:
        assert "url" in refused(caller.post(PATH, {"url": url}))
        assert not WebhookEndpoint.objects.exists()

    @pytest.mark.parametrize("events", [[], ["prediction.started"], "prediction.failed"])
    def test_refuses_events_that_there_are_none_of(self, caller: Caller, events: Any) -> None:
        assert any(field.startswith("events") for field in refused(caller.post(PATH, {"url": URL, "events": events})))

    def test_refuses_what_it_does_not_know(self, caller: Caller) -> None:
        for name in ("secret", "user", "disabledAt", "enabled"):
            problem(caller.post(PATH, {"url": URL, name: "x"}), 400)

    def test_stops_at_twenty(self, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("generation.outgoing.endpoints.MOST_ENDPOINTS", 1)
        register(caller)

        assert "url" in refused(caller.post(PATH, {"url": URL}))

    @pytest.mark.django_db(transaction=True)
    def test_stops_there_for_many_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 2)
        user, start, refusals = make_user(), threading.Barrier(6), []

        def work() -> None:
            start.wait()
            try:
                endpoints.register(user=user, url=URL, now=timezone.now())
            except endpoints.InvalidEndpoint as refusal:
                refusals.append(refusal)
            finally:
                connection.close()

        run_together([threading.Thread(target=work) for _ in range(6)])

        assert (WebhookEndpoint.objects.count(), len(refusals)) == (2, 4)


class TestChange:
    def test_changes_what_is_given(self, caller: Caller) -> None:
        path = f"{PATH}/{register(caller)['id']}"

        assert patch(caller, path, {"enabled": False}).json()["disabledFor"] == "owner"
        changed = patch(caller, path, {"enabled": True, "events": ["prediction.lost"], "description": "b"}).json()

        assert (changed["enabled"], changed["events"], changed["url"]) == (True, ["prediction.lost"], URL)

    def test_refuses_an_inner_address(self, caller: Caller) -> None:
        path = f"{PATH}/{register(caller)['id']}"

        assert "url" in refused(patch(caller, path, {"url": "https://10.0.0.1/"}))

    def test_rotates_the_secret(self, caller: Caller) -> None:
        made = register(caller)

        rotated = caller.post(f"{PATH}/{made['id']}/secret").json()

        assert rotated["secret"] != made["secret"]
        assert rotated["previousSecretUntil"] is not None
        assert WebhookEndpoint.objects.get().previous_secret == made["secret"]

    def test_deletes_it_with_its_log(self, caller: Caller) -> None:
        made = register(caller)
        end_one(caller)

        assert caller.send("DELETE", f"{PATH}/{made['id']}").status_code == 204

        assert not OutgoingMessage.objects.exists()


class TestDeliveries:
    def test_are_listed_without_what_they_say(self, caller: Caller) -> None:
        made = register(caller)
        message = end_one(caller)

        [shown] = caller.get(f"{PATH}/{made['id']}/deliveries").json()["results"]

        assert shown["predictionId"] == str(message.prediction_id)
        assert (shown["event"], shown["state"], shown["tries"]) == ("prediction.canceled", "waiting", [])
        assert shown["webhookId"] == f"msg_{message.pk.hex}"

    def test_are_sent_again(self, caller: Caller) -> None:
        made = register(caller)
        message = end_one(caller)
        OutgoingMessage.objects.update(state="failed", due_at=None, failures=8)

        answer = caller.post(f"{PATH}/{made['id']}/deliveries/{message.pk}/resend")

        assert (answer.status_code, answer.json()["state"]) == (202, "waiting")
        assert OutgoingMessage.objects.get().failures == 0

    def test_may_be_a_test(self, caller: Caller) -> None:
        made = register(caller)

        answer = caller.post(f"{PATH}/{made['id']}/test")

        assert (answer.status_code, answer.json()["event"]) == (202, "webhook.test")

    def test_do_not_go_to_what_is_disabled(self, caller: Caller) -> None:
        path = f"{PATH}/{register(caller)['id']}"
        patch(caller, path, {"enabled": False})

        assert problem(caller.post(f"{path}/test"), 409)["code"] == "not_sent"


class TestStrangers:
    def test_find_nothing(self, caller: Caller) -> None:
        made = register(caller)
        message = end_one(caller)
        stranger = Caller(make_user(username="bob"))
        path = f"{PATH}/{made['id']}"

        for answer in (
            stranger.get(path),
            patch(stranger, path, {"enabled": False}),
            stranger.send("DELETE", path),
            stranger.post(f"{path}/secret"),
            stranger.post(f"{path}/test"),
            stranger.get(f"{path}/deliveries"),
            stranger.post(f"{path}/deliveries/{message.pk}/resend"),
        ):
            problem(answer, 404)
        assert stranger.get(PATH).json()["results"] == []

    def test_do_not_find_one_s_messages_through_their_own(self, caller: Caller) -> None:
        register(caller)
        message = end_one(caller)
        stranger = Caller(make_user(username="bob"))

        own = register(stranger)["id"]

        problem(stranger.post(f"{PATH}/{own}/deliveries/{message.pk}/resend"), 404)

    def test_need_the_scope(self, caller: Caller) -> None:
        ApiToken.objects.update(scopes=["generate", "read"])

        assert problem(caller.get(PATH), 403)["requiredScope"] == "manage"
