"""POST /api/generation/image and /video: what is let in, what is refused and how it is said."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import ApiToken, LedgerEntry, User
from accounts.tokens import revoke
from generation import catalog
from generation.models import Prediction, ProviderState
from generation.tests.calling import IMAGE, VIDEO, Caller, problem, refused
from generation.tests.making import BANANA, SEEDANCE, make_user

pytestmark = pytest.mark.django_db
FILM = {"prompt": "waves", "duration": 5, "resolution": "720p"}


@pytest.fixture
def ada() -> Caller:
    return Caller(make_user())


class TestGenerateImage:
    def test_answers_id_status_price_and_place(self, ada: Caller) -> None:
        response = ada.post(IMAGE, {"prompt": "a lake at dusk"})

        prediction = Prediction.objects.get()
        assert response.status_code == 201
        assert response["Location"] == f"/api/predictions/{prediction.pk}"
        assert response.json() == {
            "predictionId": str(prediction.pk),
            "status": "starting",
            "estimatedCost": "0.039",
            "warnings": [],
        }

    def test_takes_the_default_model(self, ada: Caller) -> None:
        ada.post(IMAGE, {"prompt": "a lake"})

        assert Prediction.objects.get().model == BANANA

    def test_reads_camel_case_as_the_model_names_it(self, ada: Caller) -> None:
        ada.post(IMAGE, {"prompt": "a lake", "format": "png", "aspectRatio": "16:9", "model": BANANA})

        assert Prediction.objects.get().input == {"prompt": "a lake", "output_format": "png", "aspect_ratio": "16:9"}

    def test_books_to_the_token(self, ada: Caller) -> None:
        ada.post(IMAGE, {"prompt": "a lake"})

        entry = LedgerEntry.objects.get()
        assert entry.kind == "reserve"
        assert len(entry.periods) == 6

    def test_takes_null_for_not_given(self, ada: Caller) -> None:
        assert ada.post(IMAGE, {"prompt": "a lake", "format": None, "seed": None}).status_code == 201

    @pytest.mark.parametrize("address", [IMAGE, VIDEO])
    def test_never_redirects(self, ada: Caller, address: str) -> None:
        assert ada.post(f"{address}/", FILM if address == VIDEO else {"prompt": "x"}).status_code == 201


class TestGenerateVideo:
    def test_takes_duration_and_resolution(self, ada: Caller) -> None:
        response = ada.post(VIDEO, {**FILM, "aspectRatio": "9:16", "cameraFixed": True})

        assert response.status_code == 201
        assert response.json()["estimatedCost"] == "0.18"
        prediction = Prediction.objects.get()
        assert prediction.model == SEEDANCE
        assert prediction.input["aspect_ratio"] == "9:16"
        assert prediction.input["camera_fixed"] is True

    @pytest.mark.parametrize("more", [{"duration": 2}, {"duration": 12, "resolution": "1080p"}])
    def test_takes_what_the_model_allows_beyond(self, ada: Caller, more: dict[str, Any]) -> None:
        assert ada.post(VIDEO, {**FILM, **more}).status_code == 201

    @pytest.mark.parametrize("missing", ["duration", "resolution"])
    def test_asks_for_what_decides_the_price(self, ada: Caller, missing: str) -> None:
        body = {name: value for name, value in FILM.items() if name != missing}

        assert missing in refused(ada.post(VIDEO, body))[missing]


class TestBadInput:
    """Each a 422 on its field, with a sentence; and nothing is created or charged."""

    def refuse(self, ada: Caller, address: str, body: Any) -> dict[str, str]:
        sentences = refused(ada.post(address, body))
        assert not Prediction.objects.exists()
        assert not LedgerEntry.objects.exists()
        return sentences

    def test_an_empty_prompt(self, ada: Caller) -> None:
        assert self.refuse(ada, IMAGE, {"prompt": "  "}) == {"prompt": "Prompt is required."}

    def test_no_prompt(self, ada: Caller) -> None:
        assert self.refuse(ada, IMAGE, {}) == {"prompt": "Prompt is required."}

    def test_a_prompt_of_100_000_characters(self, ada: Caller) -> None:
        assert "100,000 characters long" in self.refuse(ada, IMAGE, {"prompt": "a" * 100_000})["prompt"]

    @pytest.mark.parametrize("prompt", [7, ["a"], {"text": "a"}, True])
    def test_a_prompt_that_is_no_text(self, ada: Caller, prompt: Any) -> None:
        assert self.refuse(ada, IMAGE, {"prompt": prompt}) == {"prompt": "Prompt must be text."}

    @pytest.mark.parametrize("model", ["nobody/nothing", "", 7, [], {"a": 1}])
    def test_an_unknown_model(self, ada: Caller, model: Any) -> None:
        sentence = self.refuse(ada, IMAGE, {"prompt": "a", "model": model})["model"]

        assert BANANA in sentence
        assert SEEDANCE in sentence

    def test_a_model_of_the_other_kind(self, ada: Caller) -> None:
        assert VIDEO in self.refuse(ada, IMAGE, {"prompt": "a", "model": SEEDANCE})["model"]
        assert IMAGE in self.refuse(ada, VIDEO, {**FILM, "model": BANANA})["model"]

    def test_a_wrong_format(self, ada: Caller) -> None:
        sentence = self.refuse(ada, IMAGE, {"prompt": "a", "format": "tiff"})["format"]

        assert sentence == "Format must be one of jpg or png; tiff is not accepted."

    @pytest.mark.parametrize("duration", [7.5, 500, -5, "long", True])
    def test_a_wrong_duration(self, ada: Caller, duration: Any) -> None:
        sentence = self.refuse(ada, VIDEO, {**FILM, "duration": duration})["duration"]

        assert sentence.startswith("Duration must be a whole number from 2 to 12 seconds")

    @pytest.mark.parametrize("ratio", ["", " ", " 16:9", "16:9\n"])
    def test_what_only_a_form_would_be_forgiven(self, ada: Caller, ratio: str) -> None:
        found = self.refuse(ada, IMAGE, {"prompt": "a lake", "aspectRatio": ratio})
        assert set(found) == {"aspectRatio"}

    def test_a_wrong_resolution(self, ada: Caller) -> None:
        sentence = self.refuse(ada, VIDEO, {**FILM, "resolution": "4K"})["resolution"]

        assert sentence == "Resolution must be one of 480p, 720p or 1080p; 4K is not accepted."

    def test_a_field_that_the_model_does_not_have(self, ada: Caller) -> None:
        sentences = self.refuse(ada, IMAGE, {"prompt": "a", "aspect_ratio": "1:1", "seed": 4})

        assert sentences.keys() == {"aspect_ratio", "seed"}
        assert "referenceImages" in sentences["seed"]

    @pytest.mark.parametrize(
        "name", ["status", "cost", "userId", "user", "provider", "createdAt", "fps", "image_input"]
    )
    def test_a_field_that_is_not_the_callers_to_say(self, ada: Caller, name: str) -> None:
        assert name in self.refuse(ada, VIDEO, {**FILM, name: 24})

    def test_several_at_once(self, ada: Caller) -> None:
        sentences = self.refuse(ada, VIDEO, {"prompt": "", "duration": 500, "resolution": "4K"})

        assert sentences.keys() == {"prompt", "duration", "resolution"}

    @pytest.mark.parametrize("key", ["", "a" * 201, "two words", "ü", "tab\tbed"])
    def test_an_idempotency_key_that_cannot_be_kept(self, ada: Caller, key: str) -> None:
        response = ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key=key)

        assert refused(response).keys() == {"Idempotency-Key"}
        assert not Prediction.objects.exists()


class TestIgnoredAspectRatio:
    def test_is_accepted_with_a_warning_where_the_model_has_none(
        self, ada: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        banana = catalog.get(BANANA)
        plain = tuple(field for field in banana.fields if field.name != "aspect_ratio")
        monkeypatch.setitem(catalog.MODELS, BANANA, type(banana)(**(vars(banana) | {"fields": plain})))

        response = ada.post(IMAGE, {"prompt": "a", "aspectRatio": "16:9"})

        assert response.status_code == 201
        assert "aspectRatio was ignored" in response.json()["warnings"][0]
        assert refused(ada.post(IMAGE, {"prompt": "a", "aspectRatio": "broad"})).keys() == {"aspectRatio"}


class TestMalformed:
    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"7", b'"x"', b'{"prompt": NaN}', b'{"a":' * 100_000, b'{"prompt":"a","prompt":"b"}']
    )
    def test_is_400(self, ada: Caller, body: bytes) -> None:
        assert problem(ada.post(IMAGE, body), 400)["code"] == "malformed"

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
    def test_is_415_for_another_content_type(self, ada: Caller, content_type: str) -> None:
        response = ada.client.post(IMAGE, data=b"prompt=a", content_type=content_type, headers=ada.headers({}))

        assert problem(response, 415)["code"] == "unsupported_media_type"

    def test_is_406_for_an_answer_we_do_not_give(self, ada: Caller) -> None:
        assert problem(ada.post(IMAGE, {"prompt": "a"}, Accept="application/xml"), 406)

    def test_is_413_above_24_mib(self, ada: Caller) -> None:
        response = ada.post(IMAGE, b'{"prompt": "' + b"a" * (24 * 1024 * 1024) + b'"}')

        assert problem(response, 413)["code"] == "too_large"

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_is_405_with_what_is_allowed(self, ada: Caller, method: str) -> None:
        response = ada.send(method, IMAGE)

        assert problem(response, 405)
        assert "POST" in response["Allow"]


class TestIdempotencyKey:
    def test_answers_the_same_prediction_again(self, ada: Caller) -> None:
        first = ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key="k-1")
        again = ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key="k-1")

        assert (again.status_code, again.json()) == (201, first.json())
        assert again["Location"] == first["Location"]
        assert Prediction.objects.count() == 1
        assert LedgerEntry.objects.count() == 1

    def test_refuses_another_body(self, ada: Caller) -> None:
        ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key="k-1")

        body = problem(ada.post(IMAGE, {"prompt": "b"}, Idempotency_Key="k-1"), 422)

        assert body["code"] == "idempotency_key_reused"
        assert Prediction.objects.count() == 1

    def test_belongs_to_its_user(self, ada: Caller) -> None:
        bob = Caller(make_user(username="bob"))
        ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key="k-1")

        assert bob.post(IMAGE, {"prompt": "b"}, Idempotency_Key="k-1").status_code == 201

    def test_does_not_remember_a_refusal(self, ada: Caller) -> None:
        refused(ada.post(IMAGE, {"prompt": ""}, Idempotency_Key="k-1"))

        assert ada.post(IMAGE, {"prompt": "a"}, Idempotency_Key="k-1").status_code == 201

    def test_is_not_needed(self, ada: Caller) -> None:
        ada.post(IMAGE, {"prompt": "a"})
        ada.post(IMAGE, {"prompt": "a"})

        assert Prediction.objects.count() == 2


class TestLimits:
    def test_of_money_are_402(self) -> None:
        ada = Caller(make_user(daily_micros_limit=50_000))
        ada.post(IMAGE, {"prompt": "a"})

        response = ada.post(IMAGE, {"prompt": "b"})

        body = problem(response, 402)
        assert body["code"] == "over_budget"
        assert body["limit"] == {"scope": "user", "period": "day", "unit": "usd", "amount": "0.05"}
        assert body["charged"] == "none"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", body["resetsAt"])
        assert 0 < int(response["Retry-After"]) <= 86_400
        assert "$0.05 a day" in body["detail"]

    def test_of_counts_are_429(self) -> None:
        ada = Caller(make_user(monthly_count_limit=1))
        ada.post(IMAGE, {"prompt": "a"})

        response = ada.post(IMAGE, {"prompt": "b"})

        body = problem(response, 429)
        assert body["code"] == "over_count"
        assert body["limit"] == {"scope": "user", "period": "month", "unit": "count", "amount": 1}
        assert int(response["Retry-After"]) > 0
        assert Prediction.objects.count() == 1


class TestDoors:
    def test_are_503_while_the_provider_takes_nothing(self, ada: Caller) -> None:
        until = timezone.now() + timedelta(seconds=40)
        ProviderState.objects.create(provider="sandbox", closed_until=until, closed_reason="no_credit")

        response = ada.post(IMAGE, {"prompt": "a"})

        body = problem(response, 503)
        assert body["code"] == "submissions_closed"
        assert body["charged"] == "none"
        assert 1 <= int(response["Retry-After"]) <= 40
        assert "credit" not in str(body)

    def test_are_403_before_the_address_is_confirmed(self, ada: Caller, settings: Settings) -> None:
        settings.EMAIL_CONFIRMATION = True

        assert problem(ada.post(IMAGE, {"prompt": "a"}), 403)["code"] == "email_not_confirmed"

    def test_propose_another_model_where_the_provider_dropped_it(self, ada: Caller) -> None:
        catalog.mark_unavailable(BANANA, timezone.now())

        sentence = refused(ada.post(IMAGE, {"prompt": "a"}))["model"]

        assert "no longer offers google/nano-banana" in sentence
        assert "black-forest-labs/flux-schnell" in sentence
        assert not Prediction.objects.exists()


class TestWhoAsks:
    def test_is_401_for_nobody(self) -> None:
        response = Client().post(IMAGE, {"prompt": "a"}, content_type="application/json")

        assert problem(response, 401)
        assert response["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("token", ["dp_wrong", "", "a b"])
    def test_is_401_for_an_unknown_token(self, ada: Caller, token: str) -> None:
        assert problem(ada.post(IMAGE, {"prompt": "a"}, Authorization=f"Bearer {token}"), 401)

    def test_is_401_for_a_revoked_token(self, ada: Caller) -> None:
        revoke(ada.token_row, now=timezone.now())

        assert problem(ada.post(IMAGE, {"prompt": "a"}), 401)

    def test_is_401_for_an_expired_token(self, ada: Caller) -> None:
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        assert problem(ada.post(IMAGE, {"prompt": "a"}), 401)

    def test_is_401_for_the_token_of_an_inactive_user(self, ada: Caller) -> None:
        User.objects.update(is_active=False)

        assert problem(ada.post(IMAGE, {"prompt": "a"}), 401)


class TestSession:
    def test_may_spend_with_a_csrf_token(self, ada: Caller) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada.user)
        token = "a" * 32
        browser.cookies["csrftoken"] = token

        response = browser.post(IMAGE, {"prompt": "a"}, content_type="application/json", headers={"X-CSRFToken": token})

        assert response.status_code == 201

    def test_may_not_without(self, ada: Caller) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada.user)

        assert problem(browser.post(IMAGE, {"prompt": "a"}, content_type="application/json"), 403)
        assert not Prediction.objects.exists()
