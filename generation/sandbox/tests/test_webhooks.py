"""Webhooks: signed by the standard, sent for the asked events, the last one again until it is taken."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from generation.sandbox.running import RunningSandbox
from generation.sandbox.tests.conftest import create
from generation.sandbox.webhooks import FIRST_RETRY_SECONDS, new_secret, sign


class Receiver:
    """Takes webhooks and answers with the planned statuses, then 204."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?prediction=1&token=abc"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def bodies(self) -> list[dict[str, Any]]:
        """What was told."""
        return [json.loads(body) for _, body in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port."""
    running = Receiver()
    yield running
    running.server.shutdown()
    running.server.server_close()


def settled(running: RunningSandbox, count: int) -> None:
    """Waits until so many deliveries were tried."""
    running.wait_until(lambda: len(running.log("webhook")) >= count)


class TestSignature:
    def test_is_what_the_standard_library_verifies(self) -> None:
        secret, body, timestamp = new_secret(), '{"a": "ü"}'.encode(), int(time.time())
        signature = sign(secret=secret, id="msg_1", timestamp=timestamp, body=body)
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}

        assert Webhook(secret).verify(body, headers) == {"a": "ü"}
        with pytest.raises(WebhookVerificationError):
            Webhook(new_secret()).verify(body, headers)

    def test_is_on_every_delivery(self, running: RunningSandbox, http: httpx.Client, receiver: Receiver) -> None:
        create(http, webhook=receiver.url)
        settled(running, 2)

        secret = http.get("/v1/webhooks/default/secret").json()["key"]
        for headers, body in receiver.taken:
            assert Webhook(secret).verify(body, headers)

    @pytest.mark.parametrize("fault", [{"signature": "wrong"}, {"signature": "missing"}, {"age_seconds": 900}])
    def test_can_be_spoiled_on_request(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver, fault: dict[str, Any]
    ) -> None:
        running.add_fault({"webhooks": fault})
        create(http, webhook=receiver.url, webhook_events_filter=["completed"])
        settled(running, 1)

        headers, body = receiver.taken[0]
        with pytest.raises(WebhookVerificationError):
            Webhook(running.secret).verify(body, headers)


class TestDelivery:
    def test_tells_the_asked_events_in_order_with_the_whole_object(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        made = create(http, webhook=receiver.url, webhook_events_filter=["start", "completed"])
        settled(running, 2)

        assert [body["status"] for body in receiver.bodies()] == ["processing", "succeeded"]
        assert receiver.bodies()[1] == http.get(made["urls"]["get"]).json()

    def test_tells_output_and_end_when_nothing_is_asked_for(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        create(http, webhook=receiver.url)
        settled(running, 2)

        assert [entry["event"] for entry in running.log("webhook")] == ["output", "completed"]

    def test_is_repeated_with_the_same_id_only_at_the_end(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        receiver.statuses = [503, 503]
        create(http, webhook=receiver.url, webhook_events_filter=["start", "completed"])
        settled(running, 3)

        assert [entry["event"] for entry in running.log("webhook")] == ["start", "completed", "completed"]
        assert [entry["status"] for entry in running.log("webhook")] == [503, 503, 204]
        assert receiver.taken[1][0]["webhook-id"] == receiver.taken[2][0]["webhook-id"]
        assert receiver.taken[0][0]["webhook-id"] != receiver.taken[1][0]["webhook-id"]

    def test_follows_no_redirect_and_holds_it_for_a_failure(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        receiver.statuses = [301]
        create(http, webhook=receiver.url, webhook_events_filter=["completed"])
        settled(running, 2)

        assert [entry["status"] for entry in running.log("webhook")] == [301, 204]

    def test_is_taken_up_again_after_a_restart(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        receiver.statuses = [500]
        create(http, webhook=receiver.url, webhook_events_filter=["completed"])
        settled(running, 1)

        running.restart()
        settled(running, 2)

        assert receiver.taken[0][0]["webhook-id"] == receiver.taken[1][0]["webhook-id"]

    def test_that_was_dropped_is_not_tried_again(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        receiver.statuses = [500]
        create(http, webhook=receiver.url, webhook_events_filter=["completed"])
        settled(running, 1)

        running.drop_webhooks()
        time.sleep(FIRST_RETRY_SECONDS + 0.2)

        assert len(receiver.taken) == 1

    def test_ends_when_nobody_listens_and_is_logged(self, running: RunningSandbox, http: httpx.Client) -> None:
        create(http, webhook="http://127.0.0.1:1/", webhook_events_filter=["start"])
        settled(running, 1)

        entry = running.log("webhook")[0]
        assert (entry["status"], entry["gave_up"]) == (None, True)
        assert "ConnectionRefusedError" in entry["error"]

    def test_of_an_aborted_prediction_is_never_sent(
        self, running: RunningSandbox, http: httpx.Client, receiver: Receiver
    ) -> None:
        running.add_fault({"outcome": {"status": "aborted"}})
        made = create(http, webhook=receiver.url)
        running.wait_until(lambda: running.prediction(made["id"]).ended)

        assert running.log("webhook") == []


class TestFault:
    def test_drops_all_or_some(self, running: RunningSandbox, http: httpx.Client, receiver: Receiver) -> None:
        running.add_fault({"webhooks": {"drop": ["start"]}})
        create(http, webhook=receiver.url, webhook_events_filter=["start", "completed"])
        settled(running, 2)

        assert [body["status"] for body in receiver.bodies()] == ["succeeded"]

    def test_doubles_with_one_id(self, running: RunningSandbox, http: httpx.Client, receiver: Receiver) -> None:
        running.add_fault({"webhooks": {"copies": 3}})
        create(http, webhook=receiver.url, webhook_events_filter=["completed"])
        settled(running, 3)

        assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1

    def test_turns_the_order_round(self, running: RunningSandbox, http: httpx.Client, receiver: Receiver) -> None:
        running.add_fault({"webhooks": {"reversed": True}})
        create(http, webhook=receiver.url, webhook_events_filter=["start", "completed"])
        settled(running, 2)

        assert [body["status"] for body in receiver.bodies()] == ["succeeded", "processing"]

    def test_delays(self, running: RunningSandbox, http: httpx.Client, receiver: Receiver) -> None:
        running.add_fault({"webhooks": {"delay": 0.4}})
        made = create(http, webhook=receiver.url, webhook_events_filter=["completed"])
        settled(running, 1)

        ended_at = running.prediction(made["id"]).completed_at
        assert ended_at is not None
        assert running.log("webhook")[0]["at"] - ended_at >= 0.4
