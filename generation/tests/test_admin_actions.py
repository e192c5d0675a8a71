"""What an administrator does about predictions and deliveries: the product's own functions, told and written down."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import LedgerEntry, User
from accounts.tests.overseeing import ADMIN, make_administrator, page, recorded, said
from generation import admin_actions
from generation.lifecycle import apply_update
from generation.models import Output, Prediction, WebhookDelivery
from generation.tests.making import done, make_prediction, make_sent, make_user
from generation.work.again import store_again, take_up_again

pytestmark = pytest.mark.django_db
LIST, INBOX = f"{ADMIN}generation/prediction/", f"{ADMIN}generation/webhookdelivery/"


@pytest.fixture(autouse=True)
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = make_administrator()
    client.force_login(user)
    return user


def act(client: Client, name: str, *rows: Any, at: str = LIST, **more: Any) -> Any:
    return client.post(at, {"action": name, "_selected_action": [row.pk for row in rows], **more}, follow=True)


def lose(prediction: Prediction, *, left: timedelta = timedelta(minutes=30)) -> None:
    """Every file of it is given up."""
    Output.objects.filter(prediction=prediction).update(
        state=Output.State.LOST, due_at=None, error_code="file_unusable", tries=2, expires_at=timezone.now() + left
    )
    Prediction.objects.filter(pk=prediction.pk).update(status="lost", due_at=None)


def make_stored() -> Prediction:
    """One whose file waits for the store."""
    prediction, attempt = make_sent(now=timezone.now())
    apply_update(attempt=attempt, update=done(), now=timezone.now())
    prediction.refresh_from_db()
    return prediction


class TestCancel:
    def test_ends_what_was_not_sent(self, client: Client) -> None:
        prediction = make_prediction()

        response = act(client, "cancel", prediction)

        prediction.refresh_from_db()
        assert prediction.status == "canceled"
        assert said(response) == ["Frame 1 of ada: Canceled before it was sent. Nothing was charged."]
        assert recorded() == ["Canceled before it was sent. Nothing was charged."]
        assert LedgerEntry.objects.filter(kind="release").count() == 1

    def test_asks_the_provider_about_what_was(self, client: Client) -> None:
        prediction, _ = make_sent()

        response = act(client, "cancel", prediction)

        prediction.refresh_from_db()
        assert prediction.cancel_requested_at is not None
        assert "The provider is asked to cancel it" in said(response)[0]

    def test_comes_too_late_for_what_is_paid(self, client: Client) -> None:
        response = act(client, "cancel", make_stored())

        assert "Too late to cancel" in said(response)[0]

    def test_says_row_by_row_what_happened(self, client: Client) -> None:
        user = make_user()

        response = act(client, "cancel", *[make_prediction(user=user) for _ in range(3)])

        assert [sentence.partition(":")[0] for sentence in said(response)] == [
            "Frame 3 of ada",
            "Frame 2 of ada",
            "Frame 1 of ada",
        ]

    def test_leads_back_to_the_page_it_was_chosen_on(self, client: Client) -> None:
        prediction = make_prediction()

        response = act(client, "cancel", prediction, from_page=1)

        assert response.redirect_chain[-1][0] == f"{LIST}{prediction.pk}/change/"
        assert 'value="store_again"' in page(client, f"generation/prediction/{prediction.pk}/change/")

    def test_of_very_many_does_nothing(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(admin_actions, "MOST_AT_ONCE", 1)
        user = make_user()

        response = act(client, "cancel", *[make_prediction(user=user) for _ in range(2)], select_across=1)

        assert said(response) == ["At most 1 rows at a time. Choose fewer; nothing was done."]
        assert set(Prediction.objects.values_list("status", flat=True)) == {"queued"}


class TestRetry:
    def test_asks_again_in_the_creator_s_budget(self, client: Client) -> None:
        prediction = make_prediction()
        act(client, "cancel", prediction)

        response = act(client, "retry", prediction)

        again = Prediction.objects.get(retry_of=prediction)
        assert again.user == prediction.user
        assert said(response) == ["Frame 1 of ada: Asked for again as frame 2, in ada's budget."]

    def test_twice_makes_one(self, client: Client) -> None:
        prediction = make_prediction()
        act(client, "cancel", prediction)

        act(client, "retry", prediction)
        response = act(client, "retry", prediction)

        assert Prediction.objects.filter(retry_of=prediction).count() == 1
        assert "Frame 2 repeats it already" in said(response)[0]

    def test_of_what_runs_is_refused(self, client: Client) -> None:
        response = act(client, "retry", make_prediction())

        assert "Only what has failed" in said(response)[0]

    def test_beyond_the_creator_s_limit_is_refused_with_the_limit(self, client: Client) -> None:
        prediction = make_prediction()
        act(client, "cancel", prediction)
        User.objects.filter(pk=prediction.user_id).update(daily_count_limit=0)

        response = act(client, "retry", prediction)

        assert "Not repeated. Your limit of 0 generations a day" in said(response)[0]
        assert Prediction.objects.count() == 1


class TestStoreAgain:
    def test_fetches_a_lost_file_that_may_still_be_there(self, client: Client) -> None:
        prediction = make_stored()
        lose(prediction)

        response = act(client, "store_again", prediction)

        output = Output.objects.get()
        assert (output.state, output.error_code, output.tries) == ("waiting", "", 0)
        assert output.due_at is not None
        assert said(response) == ["Frame 1 of ada: 1 lost file will be fetched again."]
        assert Prediction.objects.get().status == "lost"

    def test_says_of_a_lost_file_that_it_is_gone(self, client: Client) -> None:
        prediction = make_stored()
        lose(prediction, left=-timedelta(minutes=1))

        response = act(client, "store_again", prediction)

        assert said(response) == ["Frame 1 of ada: 1 lost file can no longer be had."]
        assert Output.objects.get().state == "lost"

    def test_gives_what_was_set_aside_another_chance(self, client: Client) -> None:
        prediction, now = make_stored(), timezone.now()
        for rows in (Prediction.objects, Output.objects):
            rows.update(quarantined_at=now, claims=5)

        act(client, "store_again", prediction)

        for row in (Prediction.objects.get(), Output.objects.get()):
            assert (row.quarantined_at, row.claims) == (None, 0)

    def test_hurries_a_file_that_waits(self) -> None:
        prediction, now = make_stored(), timezone.now()
        Output.objects.update(due_at=now + timedelta(minutes=1))

        assert store_again(prediction=prediction, now=now).hurried == 1
        assert Output.objects.get().due_at == now

    def test_leaves_what_a_worker_holds_to_it(self) -> None:
        prediction, now = make_stored(), timezone.now()
        held = {"lease_token": prediction.pk, "lease_until": now, "due_at": now + timedelta(minutes=1)}
        Output.objects.update(**held)

        assert store_again(prediction=prediction, now=now).sentence == (
            "nothing waits to be stored, and nothing was lost"
        )

    def test_leaves_a_lost_file_in_peace_when_only_asked_for_what_was_set_aside(self) -> None:
        prediction, now = make_stored(), timezone.now()
        lose(prediction)
        Output.objects.update(quarantined_at=now)

        assert take_up_again(Output.objects.all(), now=now) == 0
        assert Output.objects.get().due_at is None


class TestApplyDelivery:
    def deliver(self, body: bytes, **fields: Any) -> WebhookDelivery:
        _, attempt = make_sent(now=timezone.now())
        given = {"address_prediction": str(attempt.prediction_id), "address_token": attempt.address_token, **fields}
        return WebhookDelivery.objects.create(webhook_id="msg_1", received_at=timezone.now(), body=body, **given)

    def test_moves_its_prediction(self, client: Client) -> None:
        delivery = self.deliver(b'{"id": "p1", "status": "processing"}', quarantined_at=timezone.now(), claims=5)
        WebhookDelivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))

        response = act(client, "apply_delivery", delivery, at=INBOX)

        delivery.refresh_from_db()
        assert (delivery.outcome, delivery.due_at, delivery.quarantined_at) == ("applied", None, None)
        assert Prediction.objects.get().status == "processing"
        assert said(response) == ["msg_1: Applied; if its news was known already, nothing has changed."]
        assert recorded() == ["Applied; if its news was known already, nothing has changed."]

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            (b"\xff\x00", "says nothing readable"),
            (b'{"id": "another", "status": "succeeded"}', "Nothing was changed."),
        ],
    )
    def test_says_what_cannot_be_applied(self, client: Client, body: bytes, sentence: str) -> None:
        response = act(client, "apply_delivery", self.deliver(body), at=INBOX)

        assert sentence in said(response)[0]
        assert Prediction.objects.get().status == "queued"

    def test_leaves_it_to_a_worker_that_is_at_it(self, client: Client) -> None:
        delivery = self.deliver(b'{"id": "p1", "status": "processing"}')
        WebhookDelivery.objects.update(lease_until=timezone.now() + timedelta(seconds=30), lease_token=uuid.uuid4())

        response = act(client, "apply_delivery", delivery, at=INBOX)

        assert "A worker is applying it just now." in said(response)[0]

    def test_is_shown_without_its_token(self, client: Client) -> None:
        delivery = self.deliver(b"{}")
        body = b'{"webhook": "https://x.example/?token=%s", "more": "<b>"}' % delivery.address_token.encode()
        WebhookDelivery.objects.update(body=body)

        shown = page(client, f"generation/webhookdelivery/{delivery.pk}/change/")

        assert delivery.address_token not in shown
        assert "token=•••" in shown
        assert "&lt;b&gt;" in shown

    @pytest.mark.parametrize("body", [b"[" * 100_000, b"\x00" * 10, b"x" * 300_000, b""])
    def test_is_shown_whatever_it_says(self, client: Client, body: bytes) -> None:
        delivery = self.deliver(body)

        assert page(client, f"generation/webhookdelivery/{delivery.pk}/change/")

    def test_is_filtered_by_outcome(self, client: Client) -> None:
        self.deliver(b"{}")

        assert "msg_1" in page(client, "generation/webhookdelivery/", outcome="pending")
        assert "msg_1" not in page(client, "generation/webhookdelivery/", outcome="mismatch")
        assert "msg_1" in page(client, "generation/webhookdelivery/", q="msg_1")
