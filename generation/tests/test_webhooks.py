"""What the provider's door lets in, keeps and applies."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts import alerts
from accounts.models import Alert, LedgerEntry
from generation.models import Output, ProviderState, WebhookDelivery
from generation.states import Status
from generation.tests.making import make_sent
from generation.tests.signing import SECRET, body_of, post, sign, succeeded
from generation.webhooks import inbox, rejections

pytestmark = pytest.mark.django_db
OTHER_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.REPLICATE_WEBHOOK_SECRETS = [SECRET]


@pytest.fixture
def browserless() -> Client:
    """A client that enforces CSRF, as the provider has no token of ours."""
    return Client(enforce_csrf_checks=True)


class TestDelivery:
    def test_moves_the_prediction_and_the_money(self, browserless: Client) -> None:
        prediction, attempt = make_sent()

        response = post(browserless, attempt, succeeded())

        prediction.refresh_from_db()
        assert response.status_code == 204
        assert (prediction.status, prediction.cost_micros) == (Status.STORING, 39_000)
        assert WebhookDelivery.objects.get().outcome == "applied"

    def test_binds_an_attempt_whose_answer_was_lost(self, browserless: Client) -> None:
        prediction, attempt = make_sent(provider_id=None)

        post(browserless, attempt, body_of("starting"))

        attempt.refresh_from_db()
        prediction.refresh_from_db()
        assert (attempt.provider_id, prediction.status) == ("p1", Status.STARTING)

    def test_is_applied_once_however_often_it_comes(self, browserless: Client) -> None:
        _, attempt = make_sent()
        body = succeeded()
        headers = sign(body)

        answers = [post(browserless, attempt, body, headers).status_code for _ in range(5)]

        assert answers == [204] * 5
        assert WebhookDelivery.objects.count() == 1
        assert LedgerEntry.objects.filter(kind="settle").count() == 1
        assert Output.objects.count() == 1

    def test_under_another_id_changes_nothing_more(self, browserless: Client) -> None:
        _, attempt = make_sent()
        body = succeeded()

        for number in range(3):
            post(browserless, attempt, body, sign(body, webhook_id=f"msg_{number}"))

        assert LedgerEntry.objects.filter(kind="settle").count() == 1

    def test_of_an_earlier_state_that_comes_late_is_ignored(self, browserless: Client) -> None:
        prediction, attempt = make_sent()
        post(browserless, attempt, succeeded())
        body = body_of("starting")

        post(browserless, attempt, body, sign(body, webhook_id="msg_2"))

        prediction.refresh_from_db()
        assert prediction.status == Status.STORING

    def test_that_could_not_be_applied_is_applied_by_the_work_loop(
        self, browserless: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prediction, attempt = make_sent()
        with monkeypatch.context() as patch:
            patch.setattr("generation.lifecycle.apply_locked", lambda **_: 1 / 0)
            assert post(browserless, attempt, succeeded()).status_code == 204
        delivery = WebhookDelivery.objects.get()
        assert delivery.due_at is not None

        inbox.deliver(delivery)

        prediction.refresh_from_db()
        assert prediction.status == Status.STORING
        assert WebhookDelivery.objects.get().due_at is None


class TestTurnedAway:
    def test_is_counted_by_reason_and_day_and_keeps_nothing(self, browserless: Client) -> None:
        rejections.cache.clear()
        _, attempt = make_sent()
        old = datetime.now(UTC) - timedelta(minutes=6)

        post(browserless, attempt, succeeded(), {"webhook-id": "msg_1"})
        post(browserless, attempt, succeeded(), sign(succeeded(), secret=OTHER_SECRET))
        post(browserless, attempt, succeeded(), sign(succeeded(), at=old))

        today = rejections.counted(day=timezone.localdate())
        assert today == {"unsigned": 2, "out_of_time": 1}
        assert not WebhookDelivery.objects.exists()

    def test_is_turned_away_all_the_same_while_the_cache_is_away(
        self, browserless: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rejections.cache, "add", lambda *_, **__: 1 / 0)
        monkeypatch.setattr(rejections.cache, "get_many", lambda *_, **__: 1 / 0)
        _, attempt = make_sent()

        assert post(browserless, attempt, succeeded(), {"webhook-id": "msg_1"}).status_code == 400
        assert rejections.counted(day=timezone.localdate()) == {}


class TestUnknown:
    @pytest.mark.parametrize("token", ["", "x" * 5000, "wrong", "ünïcode", "nul\0"])
    def test_token_is_kept_and_answered_like_a_known_one(self, browserless: Client, token: str) -> None:
        prediction, attempt = make_sent()

        response = post(browserless, attempt, succeeded(), token=token)

        prediction.refresh_from_db()
        assert (response.status_code, prediction.status) == (204, Status.QUEUED)
        assert WebhookDelivery.objects.get().outcome == "unknown"

    def test_token_costs_one_row(self, browserless: Client) -> None:
        _, attempt = make_sent()

        with CaptureQueriesContext(connection) as asked:
            post(browserless, attempt, succeeded(), token="wrong")

        [statement] = [query["sql"] for query in asked if "SAVEPOINT" not in query["sql"]]
        assert statement.startswith("INSERT INTO")

    def test_prediction_is_kept(self, browserless: Client) -> None:
        assert post(browserless, None, succeeded()).status_code == 204
        assert WebhookDelivery.objects.get().outcome == "unknown"

    def test_status_changes_nothing(self, browserless: Client) -> None:
        prediction, attempt = make_sent()

        assert post(browserless, attempt, body_of("zzz_new")).status_code == 204

        prediction.refresh_from_db()
        assert prediction.status == Status.QUEUED

    def test_id_under_a_known_address_is_a_mismatch(self, browserless: Client) -> None:
        prediction, attempt = make_sent()

        response = post(browserless, attempt, succeeded(id="p2"))

        prediction.refresh_from_db()
        assert (response.status_code, prediction.status) == (204, Status.QUEUED)
        assert WebhookDelivery.objects.get().outcome == "mismatch"
        assert Alert.objects.get().name == "webhook_mismatch"

    @pytest.mark.parametrize(
        "body",
        [b"[]", b"null", b"12", b'"text"', b"{}", b'{"id": 5}', b'{"id":"p1","status":[]}', b"[" * 5000 + b"]" * 5000],
    )
    def test_shape_is_no_error(self, browserless: Client, body: bytes) -> None:
        _, attempt = make_sent()

        assert post(browserless, attempt, body).status_code in (204, 400)


class TestSignature:
    def refused(self, client: Client, body: bytes, headers: dict[str, str]) -> bool:
        response = post(client, None, body, headers)
        return response.status_code == 400 and not WebhookDelivery.objects.exists()

    @pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_needs_each_header(self, browserless: Client, missing: str) -> None:
        body = succeeded()
        headers = sign(body)
        del headers[missing]

        assert self.refused(browserless, body, headers or {"x": "y"})

    @pytest.mark.parametrize(
        "signature",
        ["v1,", "v1a,AAAA", "nonsense", "v1,!!!", ",", "v1," + "A" * 44, " ".join(["v1,AAAA"] * 10_000), "v1,ÿ"],
    )
    def test_is_refused_when_it_is(self, browserless: Client, signature: str) -> None:
        body = succeeded()

        assert self.refused(browserless, body, sign(body) | {"webhook-signature": signature})

    @pytest.mark.parametrize("timestamp", ["", "soon", "9" * 40, "-1", "1e9", "٣"])
    def test_is_refused_with_the_timestamp(self, browserless: Client, timestamp: str) -> None:
        body = succeeded()

        assert self.refused(browserless, body, sign(body) | {"webhook-timestamp": timestamp})

    @pytest.mark.parametrize(("seconds", "accepted"), [(-290, True), (290, True), (-310, False), (310, False)])
    def test_is_good_for_five_minutes_both_ways(self, browserless: Client, seconds: int, accepted: bool) -> None:
        body = succeeded()
        at = datetime.now(tz=UTC) + timedelta(seconds=seconds)

        assert (post(browserless, None, body, sign(body, at=at)).status_code == 204) is accepted

    def test_by_another_key_is_refused(self, browserless: Client) -> None:
        body = succeeded()

        assert self.refused(browserless, body, sign(body, secret=OTHER_SECRET))

    def test_covers_every_byte(self, browserless: Client) -> None:
        body = succeeded()

        assert self.refused(browserless, body + b" ", sign(body))

    def test_may_stand_beside_others(self, browserless: Client) -> None:
        body = succeeded()
        headers = sign(body)
        headers["webhook-signature"] = "v1a,xyz nonsense v1,AAAA " + headers["webhook-signature"]

        assert post(browserless, None, body, headers).status_code == 204

    def test_of_either_secret_is_good_during_rotation(self, browserless: Client, settings: Settings) -> None:
        settings.REPLICATE_WEBHOOK_SECRETS = [OTHER_SECRET, SECRET]
        body = succeeded()

        assert post(browserless, None, body).status_code == 204

    def test_waits_for_a_secret_to_be_known(self, browserless: Client, settings: Settings) -> None:
        settings.REPLICATE_WEBHOOK_SECRETS = []
        assert post(browserless, None, succeeded()).status_code == 503

        ProviderState.objects.create(provider="sandbox", webhook_secrets=[SECRET], secrets_read_at=timezone.now())

        assert post(browserless, None, succeeded()).status_code == 204

    @pytest.mark.parametrize(("by", "answer"), [(SECRET, 400), (OTHER_SECRET, 204)], ids=["the old", "the new"])
    def test_is_good_as_long_as_it_is_in_force(
        self, browserless: Client, settings: Settings, by: str, answer: int
    ) -> None:
        in_force([SECRET], settings)
        assert self.send(browserless, "msg_1", SECRET) == 204
        ProviderState.objects.update(webhook_secrets=[OTHER_SECRET])

        assert self.send(browserless, "msg_2", by) == answer

        assert WebhookDelivery.objects.filter(webhook_id="msg_2").exists() == (answer == 204)

    def test_that_was_taken_back_lets_nothing_in(self, browserless: Client, settings: Settings) -> None:
        in_force([SECRET], settings)
        assert self.send(browserless, "msg_1", SECRET) == 204
        ProviderState.objects.update(webhook_secrets=[])

        assert self.send(browserless, "msg_2", SECRET) == 503

        assert WebhookDelivery.objects.count() == 1

    def send(self, client: Client, webhook_id: str, secret: str) -> int:
        body = succeeded()
        return post(client, None, body, sign(body, webhook_id=webhook_id, secret=secret)).status_code


def in_force(known: list[str], settings: Settings) -> None:
    """These are what the worker was told by the provider, and the environment names none."""
    settings.REPLICATE_WEBHOOK_SECRETS = []
    ProviderState.objects.create(provider="sandbox", webhook_secrets=known, secrets_read_at=timezone.now())


class TestOutOfTime:
    """Rightly signed, but more than five minutes from our clock: it is the clock, or somebody who repeats."""

    def send(self, client: Client, *, seconds: float, **forged: str) -> int:
        body = succeeded()
        headers = sign(body, at=datetime.now(tz=UTC) - timedelta(seconds=seconds)) | forged
        return post(client, None, body, {name.replace("_", "-"): value for name, value in headers.items()}).status_code

    @pytest.mark.parametrize(("seconds", "word"), [(600, "late"), (-600, "early"), (310, "late"), (-310, "early")])
    def test_is_refused_and_told(self, browserless: Client, seconds: float, word: str) -> None:
        assert self.send(browserless, seconds=seconds) == 400

        alert = Alert.objects.get()
        assert (alert.name, alert.count) == ("webhook_rejected_skew", 1)
        assert f" s {word}." in alert.detail
        assert not WebhookDelivery.objects.exists()

    @pytest.mark.parametrize(
        "forged",
        [{"webhook_signature": "v1," + "A" * 44}, {"webhook_id": "msg_of_another"}, {"webhook_timestamp": "1e9"}],
        ids=["signature", "id", "timestamp"],
    )
    def test_is_not_told_on_the_word_of_a_stranger(self, browserless: Client, forged: dict[str, str]) -> None:
        assert self.send(browserless, seconds=600, **forged) == 400

        assert not Alert.objects.exists()

    def test_is_refused_in_the_same_way_when_it_cannot_be_noted(
        self, browserless: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise DatabaseError

        monkeypatch.setattr(alerts, "note", fail)

        assert self.send(browserless, seconds=600) == 400

    def test_is_over_with_the_first_that_comes_in_time(self, browserless: Client) -> None:
        self.send(browserless, seconds=600)
        inbox.note_right_time(now=timezone.now())
        assert Alert.objects.get().over_at is None

        self.send(browserless, seconds=0)
        inbox.note_right_time(now=timezone.now())

        assert Alert.objects.get().over_at


class TestBody:
    def test_above_a_mebibyte_is_too_large(self, browserless: Client) -> None:
        body = b"x" * (1024 * 1024 + 1)

        assert post(browserless, None, body).status_code == 413

    @pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b"\x00", b"", b"\x1f\x8b\x08gzip"])
    def test_that_is_no_text_is_never_an_error_of_ours(self, browserless: Client, body: bytes) -> None:
        headers = sign(succeeded())

        assert post(browserless, None, body, headers).status_code == 400

    @pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
    def test_comes_by_post_only(self, browserless: Client, method: str) -> None:
        assert getattr(browserless, method)("/api/webhooks/replicate").status_code == 405

    def test_is_taken_with_a_trailing_slash_too(self, browserless: Client) -> None:
        body = succeeded()

        response = browserless.post(
            "/api/webhooks/replicate/", data=body, content_type="text/plain", headers=sign(body)
        )

        assert response.status_code == 204
