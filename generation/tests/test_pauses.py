"""Kill switches: what they hold, what they let go on, and what is said about it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import LedgerEntry, User
from generation import pauses
from generation.models import Pause, Prediction
from generation.pauses import EVERYTHING, AlreadyPaused, Paused, target_of
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.calling import ESTIMATE, IMAGE, Caller, problem
from generation.tests.making import BANANA, SEEDANCE, make_prediction, make_sent
from generation.work import submit
from generation.work.choose import choose
from generation.work.loop import run_until_quiet

pytestmark = pytest.mark.django_db
REASON = "The budget of July is being looked at."


@pytest.fixture(autouse=True)
def roomy(settings: Settings) -> None:
    settings.MAX_IN_FLIGHT, settings.MAX_IN_FLIGHT_PER_USER, settings.CREATES_PER_MINUTE = 50, 4, 60_000


def switch(which: str, user: User) -> str:
    """The target of that kind that concerns what `user` asks of the picture model."""
    return {"everything": EVERYTHING, "model": target_of(model=BANANA), "user": target_of(user_id=user.pk)}[which]


def throw(target: str, reason: str = REASON) -> Pause:
    return pauses.pause(target=target, reason=reason, by=None, now=timezone.now())


each_kind = pytest.mark.parametrize("which", ["everything", "model", "user"])


class TestPause:
    @each_kind
    def test_holds_what_waits_until_it_is_lifted(self, ada: User, which: str) -> None:
        waiting = make_prediction(user=ada, now=timezone.now())
        throw(switch(which, ada))

        assert choose(9) == []
        assert pauses.lift(target=switch(which, ada))
        assert choose(9) == [waiting]

    def test_of_a_user_holds_nobody_else(self, ada: User, bob: User) -> None:
        make_prediction(user=ada, now=timezone.now())
        other = make_prediction(user=bob, now=timezone.now())
        throw(target_of(user_id=ada.pk))

        assert choose(9) == [other]
        make_prediction(user=bob, now=timezone.now())

    def test_of_a_model_holds_no_other(self, ada: User) -> None:
        make_prediction(user=ada, now=timezone.now())
        film = make_prediction(user=ada, model=SEEDANCE, now=timezone.now())
        throw(target_of(model=BANANA))

        assert choose(9) == [film]

    @each_kind
    def test_refuses_what_is_new_and_holds_no_money(self, ada: User, which: str) -> None:
        throw(switch(which, ada))

        with pytest.raises(Paused) as refused:
            make_prediction(user=ada, now=timezone.now())

        assert refused.value.reason == REASON
        assert refused.value.of_user == (which == "user")
        assert not Prediction.objects.exists() and not LedgerEntry.objects.exists()

    def test_lets_what_is_at_the_provider_come_home(self, sandbox: RunningSandbox, ada: User) -> None:
        prediction = make_prediction(user=ada, now=timezone.now())
        [chosen] = choose(1)
        submit.submit(chosen)
        throw(EVERYTHING)

        assert run_until_quiet()
        prediction.refresh_from_db()
        assert prediction.status == Status.SUCCEEDED

    def test_that_comes_while_references_are_handed_over_stops_the_create(
        self, sandbox: RunningSandbox, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prediction = make_prediction(user=ada, now=timezone.now())
        [chosen] = choose(1)
        hand_over = submit._handed_over

        def slowly(*args: Any) -> Any:
            throw(EVERYTHING)
            return hand_over(*args)

        monkeypatch.setattr(submit, "_handed_over", slowly)
        submit.submit(chosen)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.submitted_at, prediction.lease_token) == (Status.QUEUED, None, None)
        assert sandbox.log("create") == []

    def test_does_not_prolong_the_day_that_anything_may_wait(self, ada: User) -> None:
        now = timezone.now()
        prediction = make_prediction(user=ada, now=now - timedelta(hours=25))
        throw(EVERYTHING)

        submit.expire_waiting(now=now)

        prediction.refresh_from_db()
        assert (prediction.status, prediction.error_code) == (Status.FAILED, "queue_expired")

    def test_is_thrown_once_for_a_target(self) -> None:
        throw(EVERYTHING)

        with pytest.raises(AlreadyPaused):
            throw(EVERYTHING, "Another reason.")
        assert Pause.objects.get().reason == REASON

    def test_that_was_not_thrown_cannot_be_lifted(self) -> None:
        assert not pauses.lift(target=EVERYTHING)


class TestReason:
    def test_of_the_widest_switch_is_told(self, ada: User) -> None:
        throw(target_of(user_id=ada.pk), "You.")
        assert pauses.reason_for(user_id=ada.pk, model=BANANA) == "You."
        throw(target_of(model=BANANA), "The model.")
        assert pauses.reason_for(user_id=ada.pk, model=BANANA) == "The model."
        throw(EVERYTHING, "Everything.")
        assert pauses.reason_for(user_id=ada.pk, model=BANANA) == "Everything."

    def test_is_empty_for_whom_nothing_holds(self, ada: User, bob: User) -> None:
        throw(target_of(user_id=ada.pk))
        throw(target_of(model=SEEDANCE))

        assert pauses.reason_for(user_id=bob.pk, model=BANANA) == ""

    def test_ends_as_a_sentence_does(self, ada: User) -> None:
        throw(EVERYTHING, "Back on Monday")

        assert pauses.reason_for(user_id=ada.pk, model=BANANA) == "Back on Monday."


class TestApi:
    def test_answers_403_to_somebody_who_is_paused(self, ada: User) -> None:
        throw(target_of(user_id=ada.pk))

        answer = Caller(ada).post(IMAGE, {"prompt": "a lake"})

        body = problem(answer, 403)
        assert (body["code"], body["charged"]) == ("paused", "none")
        assert REASON in body["detail"]
        assert "Retry-After" not in answer

    @pytest.mark.parametrize("which", ["everything", "model"])
    def test_answers_503_to_everybody_else(self, ada: User, which: str) -> None:
        throw(switch(which, ada))

        answer = Caller(ada).post(IMAGE, {"prompt": "a lake"})

        body = problem(answer, 503)
        assert body["code"] == "paused"
        assert REASON in body["detail"]
        assert int(answer["Retry-After"]) > 0

    @each_kind
    def test_tells_the_reason_beside_an_estimate(self, ada: User, which: str) -> None:
        throw(switch(which, ada))

        body = Caller(ada).post(ESTIMATE, {"prompt": "a lake"}).json()

        assert body["allowed"] is False
        assert REASON in body["reason"]

    def test_refuses_a_retry(self, ada: User) -> None:
        prediction, _ = make_sent(user=ada, now=timezone.now())
        Prediction.objects.update(status=Status.CANCELED, due_at=None)
        throw(EVERYTHING)

        assert problem(Caller(ada).post(f"/api/predictions/{prediction.pk}/retry"), 503)["code"] == "paused"

    def test_still_cancels(self, ada: User) -> None:
        prediction = make_prediction(user=ada, now=timezone.now())
        throw(EVERYTHING)

        assert Caller(ada).post(f"/api/predictions/{prediction.pk}/cancel").json()["status"] == "canceled"


class TestStudio:
    @pytest.fixture(autouse=True)
    def signed_in(self, client: Client, ada: User) -> None:
        client.force_login(ada)

    @each_kind
    def test_form_says_the_reason(self, client: Client, ada: User, which: str) -> None:
        throw(switch(which, ada))

        page = client.post("/generate", {"prompt": "a lake", "model": BANANA})

        assert page.status_code == 422
        assert REASON in page.content.decode()

    @each_kind
    def test_card_says_the_reason(self, client: Client, ada: User, which: str) -> None:
        prediction = make_prediction(user=ada, now=timezone.now())
        throw(switch(which, ada))

        card = client.get(f"/predictions/{prediction.pk}/card").content.decode()

        assert f"Paused by an administrator: {REASON}" in card
        assert "/cancel" in card

    def test_card_escapes_the_reason(self, client: Client, ada: User) -> None:
        prediction = make_prediction(user=ada, now=timezone.now())
        throw(EVERYTHING, "<script>alert(1)</script>")

        assert "<script>" not in client.get(f"/predictions/{prediction.pk}/card").content.decode()

    def test_model_picker_says_which_model_is_paused(self, client: Client) -> None:
        throw(target_of(model=BANANA))

        assert REASON in client.get("/").content.decode()
