"""The composer's form: what it asks for, what it refuses and in which words, and that it asks only once."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from accounts.models import LedgerEntry, User
from gallery import library
from gallery.models import Asset
from gallery.tests.samples import picture
from generation import catalog
from generation.models import Prediction, ProviderState
from generation.tests.making import BANANA, SEEDANCE, make_user

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def form(**fields: Any) -> dict[str, Any]:
    return {"model": BANANA, "prompt": "a lake at dusk", "idempotency_key": str(uuid.uuid4()), **fields}


def text(response: Any) -> str:
    return str(response.content.decode())


def upload(name: str = "sea.png", data: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, picture() if data is None else data)


def keep(owner: User) -> Asset:
    """A picture in somebody's gallery."""
    return Asset.objects.create(
        owner=owner,
        kind="image",
        origin="upload",
        created_at=timezone.now(),
        storage_key=str(uuid.uuid4()),
        content_type="image/png",
        size_bytes=9,
        sha256="0" * 64,
        width=64,
        height=36,
    )


class TestWithoutScripts:
    def test_goes_back_to_the_new_card(self, client: Client) -> None:
        response = client.post("/generate", form())

        made = Prediction.objects.get()
        assert (response.status_code, response["Location"]) == (303, f"/?reuse={made.pk}#prediction-1")
        assert 'id="prediction-1"' in text(client.get(response["Location"]))

    def test_keeps_what_stood_in_the_form(self, client: Client) -> None:
        response = client.post("/generate", form(model=SEEDANCE, duration="8", resolution="480p"))

        made = Prediction.objects.get()
        assert (made.input["duration"], made.estimated_micros) == (8, 144_000)
        page = text(client.get(response["Location"]))
        assert f'name="model" value="{SEEDANCE}"' in page and ">a lake at dusk</textarea>" in page
        assert 'value="480p" checked' in page

    @pytest.mark.parametrize("address", ["/generate", "/generate/form"])
    def test_leads_to_the_studio_whoever_opens_a_forms_address(self, client: Client, address: str) -> None:
        assert client.get(address)["Location"] == "/"

    def test_shows_the_whole_page_again_on_an_error(self, client: Client) -> None:
        response = client.post("/generate", form(prompt="", aspect_ratio="21:9"))

        page = text(response)
        assert response.status_code == 422
        assert "Prompt is required." in page and 'aria-describedby="prompt-error"' in page
        assert 'value="21:9" checked' in page
        assert not Prediction.objects.exists()


class TestWithHtmx:
    def test_brings_the_first_sheet(self, client: Client) -> None:
        response = client.post("/generate", form(), headers=HTMX)

        html = text(response)
        assert response["HX-Reswap"] == "none"
        assert 'hx-swap-oob="afterend:#newest-day"' in html and 'id="prediction-1"' in html
        assert '<div id="first-sheet" hx-swap-oob="delete">' in html
        assert 'id="estimate"' in html and "$4.96</b> left today" in html

    def test_puts_the_card_on_todays_sheet(self, client: Client) -> None:
        today = timezone.localdate().isoformat()

        response = client.post("/generate", form(newest_day=today), headers=HTMX)

        assert f'hx-swap-oob="afterbegin:#day-{today}"' in text(response)
        assert response["HX-Trigger"] == "dayChanged"

    def test_gives_the_form_a_fresh_key(self, client: Client) -> None:
        sent = form()

        html = text(client.post("/generate", sent, headers=HTMX))

        [key] = re.findall(r'name="idempotency_key" value="([^"]+)"', html)
        assert uuid.UUID(key) and key != sent["idempotency_key"]

    def test_brings_back_only_the_form_on_an_error(self, client: Client) -> None:
        response = client.post("/generate", form(prompt=""), headers=HTMX)

        assert response.status_code == 422
        assert text(response).startswith('<form class="composer') and "Prompt is required." in text(response)


class TestSentTwice:
    def test_is_one_generation(self, client: Client) -> None:
        sent = form()

        answers = [client.post("/generate", sent)["Location"] for _ in range(2)]

        assert answers == [f"/?reuse={Prediction.objects.get().pk}#prediction-1"] * 2
        assert LedgerEntry.objects.count() == 1

    def test_shows_no_second_card(self, client: Client) -> None:
        sent = form(newest_day=timezone.localdate().isoformat())
        client.post("/generate", sent, headers=HTMX)

        assert "<article" not in text(client.post("/generate", sent, headers=HTMX))

    def test_asks_before_it_makes_something_else(self, client: Client) -> None:
        sent = form()
        client.post("/generate", sent)

        response = client.post("/generate", sent | {"prompt": "a lake at noon"})

        page = text(response)
        assert response.status_code == 422 and "already sent once" in page and "a lake at noon" in page
        assert sent["idempotency_key"] not in page
        assert Prediction.objects.count() == 1


class TestReferences:
    def test_are_uploaded_with_the_form(self, client: Client) -> None:
        client.post(
            "/generate", form(**{"image_input.upload": [upload(), upload("hill.png", picture(colour="#123456"))]})
        )

        made = Prediction.objects.get()
        assert made.input["image_input"] == [str(asset.pk) for asset in Asset.objects.order_by("created_at", "pk")]

    def test_are_taken_from_the_gallery(self, client: Client, user: User) -> None:
        kept = keep(user)

        client.post("/generate", form(image_input=[str(kept.pk)]))

        assert Prediction.objects.get().input["image_input"] == [str(kept.pk)]

    def test_stay_in_the_form_when_something_else_is_wrong(self, client: Client) -> None:
        response = client.post("/generate", form(**{"prompt": "", "image_input.upload": upload()}))

        kept = Asset.objects.get()
        assert f'name="image_input" value="{kept.pk}" checked' in text(response)

    def test_are_named_by_the_form_once_they_are_kept(self, client: Client) -> None:
        response = client.post("/generate", form(**{"image_input.upload": upload()}), headers=HTMX)

        assert "HX-Reswap" not in response
        assert f'name="image_input" value="{Asset.objects.get().pk}" checked' in text(response)

    def test_become_first_and_last_frame(self, client: Client) -> None:
        files = {"image.upload": upload(), "last_frame_image.upload": upload("end.png", picture(colour="#222222"))}

        client.post("/generate", form(model=SEEDANCE, **files))

        first, last = Asset.objects.order_by("created_at", "pk")
        made = Prediction.objects.get()
        assert (made.input["image"], made.input["last_frame_image"]) == (str(first.pk), str(last.pk))

    def test_are_counted_before_any_is_opened(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(library, "upload_asset", lambda **_: pytest.fail("it was opened"))
        most = next(field.most for field in catalog.get(BANANA).fields if field.name == "image_input") or 0

        response = client.post("/generate", form(**{"image_input.upload": [upload() for _ in range(most + 1)]}))

        assert response.status_code == 422
        assert f"At most {most} pictures can be sent along." in text(response)

    def test_are_one_for_a_frame(self, client: Client) -> None:
        response = client.post("/generate", form(model=SEEDANCE, **{"image.upload": [upload(), upload()]}))

        assert response.status_code == 422
        assert "At most 1 picture can be sent along." in text(response)
        assert not Asset.objects.exists()


# Some of what `uuid.UUID` reads; a column holds 36 characters.
NO_UUIDS = ["x", "7" * 32, f"{{{uuid.UUID(int=7)}}}", f"urn:uuid:{uuid.UUID(int=7)}", "7" * 32 + "-" * 300]


class TestIds:
    @pytest.mark.parametrize("written", NO_UUIDS)
    def test_are_36_characters_or_none(self, client: Client, written: str) -> None:
        assert client.post("/generate", form(idempotency_key=written)).status_code == 303

        made = Prediction.objects.get()
        Prediction.objects.update(status="failed")
        assert client.post(f"/predictions/{made.pk}/retry", {"idempotency_key": written}).status_code == 303
        assert not Prediction.objects.filter(idempotency_key=written).exists()
        for address in (f"/?reuse={written}", f"/?reference={written}", f"/?before={written}"):
            assert client.get(address).status_code in (200, 303, 404), address


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "   "}, "Prompt is required."),
    ({"prompt": "x" * 100_000}, "Prompt is 100,000 characters long; at most 10,000 are accepted."),
    ({"prompt": "a\x00b"}, "Prompt contains a character that cannot be stored."),
    ({"model": "nobody/nothing"}, "There is no such model here."),
    ({"output_format": "tiff"}, "Format"),
    ({"aspect_ratio": "7:1"}, "Aspect ratio"),
    ({"model": SEEDANCE, "duration": "7.5"}, "Duration must be a whole number"),
    ({"model": SEEDANCE, "duration": "500"}, "Duration must be a whole number"),
    ({"model": SEEDANCE, "resolution": "4K"}, "Resolution"),
    ({"model": SEEDANCE, "seed": "-1"}, "Seed must be a whole number"),
    ({"image_input": str(uuid.uuid4())}, "This reference cannot be used."),
    ({"image_input": "http://127.0.0.1:1/x.png"}, "This reference cannot be used."),
    ({"image_input": "https://10.0.0.1/x.png"}, "This reference cannot be used."),
    ({"image_input": "nonsense"}, "This reference cannot be used."),
    ({"image_input.upload": upload("notes.png", b"no picture at all")}, "notes.png: The file is not a JPEG"),
    ({"image_input.upload": upload("torn.png", picture()[:60])}, "torn.png: The"),
]


class TestBadInput:
    @pytest.mark.parametrize(("fields", "sentence"), BAD)
    def test_comes_back_with_its_sentence(self, client: Client, fields: dict[str, Any], sentence: str) -> None:
        for file in fields.values():
            if isinstance(file, SimpleUploadedFile):
                file.seek(0)

        response = client.post("/generate", form(**fields))

        assert response.status_code == 422
        assert sentence in text(response)
        assert not Prediction.objects.exists() and not LedgerEntry.objects.exists()

    def test_of_another_user_reads_like_what_does_not_exist(self, client: Client) -> None:
        theirs = keep(make_user(username="bob"))

        responses = [client.post("/generate", form(image_input=str(named))) for named in (theirs.pk, uuid.uuid4())]

        said = {re.search(r"This reference cannot be used\.[^<]*", text(response)) for response in responses}
        assert len({match.group() for match in said if match}) == 1
        assert str(theirs.pk) not in text(responses[0])

    def test_is_escaped_when_it_comes_back(self, client: Client) -> None:
        hostile = "</textarea><script>alert(1)</script>"

        page = text(client.post("/generate", form(prompt=hostile, output_format="tiff")))

        assert escape(hostile) in page and "<script>alert" not in page

    def test_in_a_key_is_replaced(self, client: Client) -> None:
        assert client.post("/generate", form(idempotency_key="x" * 5000)).status_code == 303
        assert uuid.UUID(Prediction.objects.get().idempotency_key or "")


class TestRefusals:
    def test_name_the_limit_and_keep_the_form(self, client: Client, user: User) -> None:
        User.objects.update(daily_micros_limit=10_000)

        response = client.post("/generate", form(prompt="kept words"))

        page = text(response)
        assert response.status_code == 422
        assert "Your limit of $0.01 a day does not allow this; it resets on" in page
        assert "Over your limit of $0.01 a day. Resets at 00:00" in page and "disabled" in page
        assert "kept words" in page
        assert not LedgerEntry.objects.exists()

    def test_name_a_count_that_is_used_up(self, client: Client) -> None:
        User.objects.update(daily_count_limit=0)

        assert "Your limit of 0 generations a day is reached. Resets at 00:00" in text(client.get("/"))

    def test_propose_the_fallback_and_do_not_take_it(self, client: Client) -> None:
        catalog.mark_unavailable(BANANA, timezone.now())

        response = client.post("/generate", form())

        assert "The provider does not offer this model just now." in text(response)
        assert "Use FLUX" in text(response)
        assert not Prediction.objects.exists()

    def test_say_that_the_provider_takes_nothing(self, client: Client, settings: Any) -> None:
        until = timezone.now() + timedelta(minutes=5)
        ProviderState.objects.create(provider=settings.PROVIDER, closed_until=until, closed_reason="no_credit")

        assert "The provider cannot take new work just now." in text(client.post("/generate", form()))

    def test_wait_for_a_confirmed_address(self, client: Client, settings: Any) -> None:
        settings.EMAIL_CONFIRMATION = True

        assert "confirm your e-mail address first" in text(client.post("/generate", form()))


class TestCompose:
    def test_carries_words_and_pictures_to_another_model(self, client: Client, user: User) -> None:
        kept = keep(user)

        html = text(
            client.post(
                "/generate/form?type=video", form(image_input=[str(kept.pk)], aspect_ratio="21:9"), headers=HTMX
            )
        )

        assert "a lake at dusk" in html
        assert f'name="reference_images" value="{kept.pk}" checked' in html
        assert 'value="21:9" checked' in html
        assert f'name="model" value="{SEEDANCE}"' in html

    def test_leaves_out_what_the_other_model_does_not_know(self, client: Client) -> None:
        html = text(client.post("/generate/form?type=video", form(aspect_ratio="4:5"), headers=HTMX))

        assert 'value="16:9" checked' in html


class TestEstimate:
    def price(self, client: Client, **fields: Any) -> str:
        response = client.post("/estimate", form(**fields), headers=HTMX)
        found = re.search(r"<b>(.+?)</b>", text(response))
        return found.group(1) if found else ""

    def test_follows_every_choice(self, client: Client) -> None:
        assert self.price(client) == "≈ $0.039"
        assert self.price(client, model=SEEDANCE, duration="12", resolution="1080p") == "≈ $0.864"
        assert self.price(client, model=SEEDANCE, duration="2", resolution="480p") == "≈ $0.036"

    def test_stands_on_what_can_be_read(self, client: Client) -> None:
        assert self.price(client, model=SEEDANCE, duration="500", resolution="480p", prompt="") == "≈ $0.09"

    def test_says_what_is_left(self, client: Client) -> None:
        assert "$5.00 left today, $60.00 this month" in text(client.get("/estimate"))

    def test_creates_nothing(self, client: Client) -> None:
        self.price(client)

        assert not Prediction.objects.exists() and not LedgerEntry.objects.exists()


class TestStrangers:
    @pytest.mark.parametrize("address", ["/generate", "/generate/form", "/estimate"])
    def test_are_sent_to_the_door(self, address: str) -> None:
        plain, fragment = Client().post(address, form()), Client().post(address, form(), headers=HTMX)

        assert plain.status_code == 302 and plain["Location"].startswith("/accounts/login/")
        assert (fragment.status_code, fragment["HX-Redirect"]) == (204, "/accounts/login/")
        assert not Prediction.objects.exists()

    @pytest.mark.parametrize("address", ["/generate", "/generate/form", "/estimate", "/theme"])
    def test_cannot_post_from_elsewhere(self, address: str, user: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)

        assert client.post(address, form()).status_code == 403
        assert not Prediction.objects.exists()

    def test_get_nothing_for_asking(self, client: Client) -> None:
        assert client.get("/generate", form()).status_code == 302
        assert not Prediction.objects.exists()
