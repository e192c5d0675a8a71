"""References by id, data: URI and https address; and the one sentence with which every other is refused."""

import base64
import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from accounts.models import LedgerEntry
from gallery import fetcher, storage
from gallery.library import upload_asset
from gallery.models import Asset
from gallery.tests.samples import film, picture
from gallery.trash import trash_asset
from generation import references
from generation.models import Prediction
from generation.references import REFUSAL
from generation.tests.calling import ESTIMATE, IMAGE, VIDEO, Caller, problem, refused
from generation.tests.making import make_user

pytestmark = pytest.mark.django_db
ADDRESS = "https://pictures.example/lake.png"
FILM = {"prompt": "waves", "duration": 5, "resolution": "720p"}


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    cache.clear()


@pytest.fixture
def ada() -> Caller:
    return Caller(make_user())


def upload(ada: Caller, content: bytes | None = None) -> Asset:
    # Uploads of a while ago, so that they do not count as this minute's.
    earlier = timezone.now() - timedelta(hours=1)
    return upload_asset(owner=ada.user, file=io.BytesIO(content or picture()), name="lake.png", now=earlier)


def data_uri(content: bytes, content_type: str = "image/png") -> str:
    return f"data:{content_type};base64,{base64.b64encode(content).decode()}"


def ask(ada: Caller, *references: Any, **headers: str) -> Any:
    return ada.post(IMAGE, {"prompt": "a lake", "referenceImages": list(references)}, **headers)


class TestAnAsset:
    def test_stays_what_it_is(self, ada: Caller) -> None:
        first, second = upload(ada), upload(ada)

        assert ask(ada, str(first.pk), str(second.pk).upper()).status_code == 201
        assert Prediction.objects.get().input["image_input"] == [str(first.pk), str(second.pk)]

    def test_begins_a_film(self, ada: Caller) -> None:
        asset = upload(ada)

        response = ada.post(VIDEO, {**FILM, "image": str(asset.pk), "aspectRatio": "1:1"})

        assert response.status_code == 201
        assert Prediction.objects.get().input["image"] == str(asset.pk)
        assert "ignored" in response.json()["warnings"][0]


class TestADataUri:
    def test_becomes_an_upload(self, ada: Caller) -> None:
        assert ask(ada, data_uri(picture())).status_code == 201

        asset = Asset.objects.get()
        assert (asset.origin, asset.owner) == ("upload", ada.user)
        assert Prediction.objects.get().input["image_input"] == [str(asset.pk)]

    def test_is_uploaded_once_for_one_key(self, ada: Caller) -> None:
        uri = data_uri(picture())

        first, again = (ask(ada, uri, Idempotency_Key="k") for _ in range(2))

        assert first.json() == again.json()
        assert Asset.objects.count() == 1

    def test_is_uploaded_again_once_it_was_trashed(self, ada: Caller) -> None:
        uri = data_uri(picture())
        ask(ada, uri)
        trash_asset(asset=Asset.objects.get(), now=timezone.now())

        assert ask(ada, uri).status_code == 201
        assert Asset.objects.kept().count() == 1

    def test_is_another_s_own(self, ada: Caller) -> None:
        uri, bob = data_uri(picture()), Caller(make_user(username="bob"))
        ask(ada, uri)
        ask(bob, uri)

        assert Asset.objects.for_owner(bob.user).count() == 1


class TestAnAddress:
    @responses.activate
    def test_is_fetched_and_becomes_an_upload(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=picture())

        assert ask(ada, ADDRESS).status_code == 201
        assert Prediction.objects.get().input["image_input"] == [str(Asset.objects.get().pk)]

    @responses.activate
    def test_is_not_fetched_again_for_the_same_key(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=picture())

        first, again = (ask(ada, ADDRESS, Idempotency_Key="k") for _ in range(2))

        assert first.json() == again.json()
        assert len(responses.calls) == 1

    @responses.activate
    def test_is_fetched_anew_for_another_request(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=picture())
        ask(ada, ADDRESS, Idempotency_Key="k")
        ask(ada, ADDRESS)

        assert len(responses.calls) == 2

    @responses.activate
    def test_is_not_fetched_for_a_request_that_is_wrong_anyway(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=picture())

        refused(ada.post(IMAGE, {"prompt": "", "referenceImages": [ADDRESS]}))

        assert len(responses.calls) == 0

    @responses.activate
    def test_is_not_fetched_for_an_estimate(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=picture())

        assert ada.post(ESTIMATE, {"prompt": "a", "referenceImages": [ADDRESS]}).json()["allowed"] is True
        assert len(responses.calls) == 0
        assert not Asset.objects.exists()

    @responses.activate
    def test_is_fetched_ten_times_a_minute_whatever_comes_of_it(
        self, ada: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count, moment = references.count_fetch, timezone.now()
        monkeypatch.setattr(references, "count_fetch", lambda user, field, now: count(user, field, moment))
        responses.get(ADDRESS, status=404)
        for _ in range(10):
            refused(ask(ada, ADDRESS))

        response = ask(ada, ADDRESS)

        body = problem(response, 429)
        assert body["code"] == "rate_limited"
        assert body["errors"][0]["field"] == "referenceImages"
        assert 1 <= int(response["Retry-After"]) <= 60
        assert len(responses.calls) == 10


class TestRefusal:
    """One sentence, one field, nothing created, whatever was wrong."""

    def refuse(self, ada: Caller, reference: Any) -> None:
        before = Asset.objects.count()
        assert refused(ask(ada, reference)) == {"referenceImages": REFUSAL}
        assert refused(ada.post(VIDEO, {**FILM, "image": reference})) == {"image": REFUSAL}
        assert not Prediction.objects.exists()
        assert not LedgerEntry.objects.exists()
        assert Asset.objects.count() == before

    def test_of_an_asset_that_does_not_exist(self, ada: Caller) -> None:
        self.refuse(ada, str(uuid.uuid4()))

    def test_of_another_s_asset(self, ada: Caller) -> None:
        self.refuse(ada, str(upload(Caller(make_user(username="bob"))).pk))

    def test_of_an_asset_in_the_trash(self, ada: Caller) -> None:
        asset = upload(ada)
        trash_asset(asset=asset, now=timezone.now())

        self.refuse(ada, str(asset.pk))

    def test_of_a_film(self, ada: Caller) -> None:
        asset = upload(ada)
        Asset.objects.update(kind=Asset.Kind.VIDEO)

        self.refuse(ada, str(asset.pk))

    @pytest.mark.parametrize(
        "content",
        [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"GIF89a", picture()[:40], b"plain words"],
    )
    def test_of_what_is_not_an_image(self, ada: Caller, content: bytes) -> None:
        self.refuse(ada, data_uri(content))

    def test_of_a_film_in_a_data_uri(self, ada: Caller, tmp_path: Any) -> None:
        self.refuse(ada, data_uri(film(tmp_path / "film.mp4").read_bytes(), "video/mp4"))

    @pytest.mark.parametrize("uri", ["data:", "data:,", "data:image/png;base64,!!!", "data:image/png"])
    def test_of_a_broken_data_uri(self, ada: Caller, uri: str) -> None:
        self.refuse(ada, uri)

    def test_of_a_data_uri_above_8_mib(self, ada: Caller) -> None:
        self.refuse(ada, data_uri(picture() + bytes(8 * 1024 * 1024)))

    @pytest.mark.parametrize(
        "address",
        [
            "https://127.0.0.1/a.png",
            "https://localhost/a.png",
            "https://10.0.0.1/a.png",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/a.png",
            "https://[::ffff:169.254.169.254]/a.png",
            "https://2130706433/a.png",
        ],
    )
    def test_of_an_address_inside_the_network(self, ada: Caller, address: str) -> None:
        self.refuse(ada, address)

    @pytest.mark.parametrize(
        "address",
        [
            "http://pictures.example/a.png",
            "ftp://pictures.example/a.png",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "//pictures.example/a.png",
            "/assets/x/file",
            "https://" + "a" * 3000,
            "",
            "lake",
        ],
    )
    def test_of_what_is_no_address(self, ada: Caller, address: str) -> None:
        if address:
            self.refuse(ada, address)

    @pytest.mark.parametrize("reference", [7, {"url": ADDRESS}, True, ["nested"]])
    def test_of_what_is_no_text(self, ada: Caller, reference: Any) -> None:
        self.refuse(ada, reference)

    @responses.activate
    @pytest.mark.parametrize("status", [403, 404, 410, 500])
    def test_of_an_address_that_answers_no(self, ada: Caller, status: int) -> None:
        responses.get(ADDRESS, status=status)

        self.refuse(ada, ADDRESS)

    @responses.activate
    def test_of_an_address_that_does_not_answer(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=requests.ConnectionError("refused by 203.0.113.9:443"))

        self.refuse(ada, ADDRESS)

    @responses.activate
    def test_of_an_address_of_a_web_page(self, ada: Caller) -> None:
        responses.get(ADDRESS, body=b"<!doctype html><title>Sign in</title>", content_type="image/png")

        self.refuse(ada, ADDRESS)

    @responses.activate
    def test_of_a_file_of_2_gb(self, ada: Caller) -> None:
        size = str(2 * 1024**3)
        responses.get(ADDRESS, body=picture(), headers={"Content-Length": size}, auto_calculate_content_length=False)

        self.refuse(ada, ADDRESS)

    def test_of_more_than_the_model_takes_before_any_is_looked_at(self, ada: Caller) -> None:
        sentence = refused(ask(ada, *["https://127.0.0.1/"] * 11))["referenceImages"]

        assert "10" in sentence


class TestCache:
    @responses.activate
    def test_that_is_down_keeps_nobody_from_working(
        self, ada: Caller, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9/0"}
        settings.CACHES = {"default": redis}
        responses.get(ADDRESS, body=picture())

        assert ask(ada, ADDRESS, data_uri(picture()), Idempotency_Key="k").status_code == 201
        assert "the cache does not answer" in caplog.text


class TestStorage:
    def test_that_is_down_is_503_and_not_the_reference_s_fault(
        self, ada: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(**_: Any) -> None:
            raise storage.StorageError("no answer from 203.0.113.9")

        monkeypatch.setattr(storage, "put", down)

        response = ask(ada, data_uri(picture()))

        body = problem(response, 503)
        assert body["charged"] == "none"
        assert int(response["Retry-After"]) > 0
        assert "203.0.113.9" not in str(body)
        assert not Prediction.objects.exists()


def test_the_fetcher_is_given_no_host_list(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def fetch(**how: Any) -> None:
        asked.append(how)
        raise fetcher.Gone("nothing")

    monkeypatch.setattr(fetcher, "fetch", fetch)

    refused(ask(ada, ADDRESS))

    assert asked[0]["allowed_hosts"] is None
    assert asked[0]["max_bytes"] == 20 * 1024 * 1024
    assert asked[0]["deadline_seconds"] == 10
