"""What is being written: kept for each model, brought back on any device, gone once it was sent."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import deletion
from accounts.models import User
from gallery.models import Asset
from gallery.tests.samples import picture
from generation.models import Draft, Prediction
from generation.tests.making import BANANA, FLUX, NOW, SEEDANCE, make_prediction, make_user
from generation.tests.test_web_generate import HTMX, form, keep, text, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def client(user: User) -> Client:
    return of(user)


def of(user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def write(client: Client, **fields: Any) -> dict[str, Any]:
    """As the page does while somebody writes."""
    written = form(**fields)
    assert client.post("/draft", written, headers=HTMX).status_code == 204
    return written


class TestDraft:
    def test_is_there_again_on_another_device(self, client: Client, user: User) -> None:
        kept = keep(user)
        write(client, prompt="a lamp in", aspect_ratio="21:9", image_input=[str(kept.pk)], runs="3")

        page = text(of(user).get("/"))

        assert ">a lamp in</textarea>" in page and 'value="21:9" checked' in page
        assert f'name="image_input" value="{kept.pk}" checked' in page
        assert 'name="runs" value="3" checked' in page

    def test_is_none_when_it_was_sent_while_it_was_kept(
        self, client: Client, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep_now = Draft.objects.bulk_create
        written = form(prompt="a lamp")

        def send_first(*rows: Any, **options: Any) -> Any:
            make_prediction(user=user, key=written["idempotency_key"])
            return keep_now(*rows, **options)

        monkeypatch.setattr(Draft.objects, "bulk_create", send_first)
        client.post("/draft", written, headers=HTMX)

        assert not Draft.objects.exists()

    def test_is_one_for_each_model(self, client: Client) -> None:
        write(client, prompt="a lamp")
        write(client, model=SEEDANCE, prompt="a film")
        write(client, model=SEEDANCE, prompt="a longer film")

        assert Draft.objects.count() == 2
        assert ">a lamp</textarea>" in text(client.get(f"/?model={BANANA}"))
        assert ">a longer film</textarea>" in text(client.get(f"/?model={SEEDANCE}"))
        assert "</textarea>" in text(client.get(f"/?model={FLUX}"))

    def test_opens_the_model_that_was_written_for_last(self, client: Client) -> None:
        write(client, prompt="a lamp")
        write(client, model=SEEDANCE, prompt="a film")

        assert f'name="model" value="{SEEDANCE}"' in text(client.get("/"))

    def test_goes_along_to_another_model(self, client: Client) -> None:
        write(client, prompt="a lamp")

        client.post(f"/generate/form?model={SEEDANCE}", form(prompt="a lamp, moving"), headers=HTMX)

        page = text(client.get("/"))
        assert f'name="model" value="{SEEDANCE}"' in page and ">a lamp, moving</textarea>" in page
        assert not Draft.objects.get(model=BANANA).values

    def test_of_the_other_model_comes_into_an_empty_form(self, client: Client) -> None:
        write(client, model=SEEDANCE, prompt="a film")

        html = text(client.post(f"/generate/form?model={SEEDANCE}", form(prompt=""), headers=HTMX))

        assert ">a film</textarea>" in html and Draft.objects.get(model=SEEDANCE).values["prompt"] == "a film"

    def test_is_gone_once_it_was_sent(self, client: Client) -> None:
        written = write(client)
        client.post("/generate", written, headers=HTMX)

        # The page's own timer may be late.
        client.post("/draft", written, headers=HTMX)

        assert ">a lake at dusk</textarea>" not in text(client.get("/"))

    def test_stays_when_what_was_sent_is_refused(self, client: Client) -> None:
        client.post("/generate", form(prompt="kept words", output_format="tiff"))

        assert ">kept words</textarea>" in text(client.get("/"))

    def test_of_nothing_is_none(self, client: Client) -> None:
        write(client, prompt="a lamp")
        write(client, prompt="", aspect_ratio="match_input_image", output_format="jpg")

        assert "a lamp" not in text(client.get("/"))

    @pytest.mark.parametrize("letter", ["字", "𒀀"])
    def test_is_kept_as_long_as_a_prompt_may_be_in_any_script(self, client: Client, letter: str) -> None:
        write(client, prompt=letter * 10_000)

        assert Draft.objects.get().values["prompt"] == letter * 10_000

    @pytest.mark.parametrize("prompt", ["x" * 70_000, "a\x00b"])
    def test_that_cannot_be_kept_breaks_nothing(self, client: Client, prompt: str) -> None:
        written = form(prompt=prompt)

        assert client.post("/draft", written).status_code == 204
        assert not Draft.objects.exists()

    def test_is_nobody_elses(self, client: Client) -> None:
        write(client, prompt="my own words")

        assert "my own words" not in text(of(make_user(username="bob")).get("/"))

    def test_stands_back_for_what_an_address_says(self, client: Client, user: User) -> None:
        write(client, prompt="a lamp", aspect_ratio="21:9")
        again = make_prediction(user=user, prompt="a boat")

        assert ">a boat</textarea>" in text(client.get(f"/?reuse={again.pk}"))
        assert ">a door</textarea>" in text(client.get("/?prompt=a+door"))

    def test_takes_a_reference_in(self, client: Client, user: User) -> None:
        first, second = keep(user), keep(user)
        write(client, prompt="a lamp", image_input=[str(first.pk)])

        page = text(client.get(f"/?reference={second.pk}"))

        assert ">a lamp</textarea>" in page
        assert page.index(f'value="{first.pk}" checked') < page.index(f'value="{second.pk}" checked')

    def test_may_be_for_a_model_that_takes_no_reference(self, client: Client, user: User) -> None:
        kept = keep(user)
        write(client, model=FLUX, prompt="a sketch")

        page = text(client.get(f"/?reference={kept.pk}"))

        assert f'name="image_input" value="{kept.pk}" checked' in page

    def test_may_be_for_a_model_that_has_left(self, client: Client, user: User) -> None:
        write(client, prompt="a lamp")
        Draft.objects.update(model="gone/away")

        assert client.get("/").status_code == 200

    @pytest.mark.parametrize("acted", [True, False], ids=["of an administrator", "of a creator"])
    def test_goes_with_the_account(self, client: Client, user: User, acted: bool) -> None:
        client.post("/draft/clear", form(prompt="put aside"), headers=HTMX)
        write(client, prompt="a lamp")
        if acted:
            LogEntry.objects.create(user=user, object_repr="x", action_flag=CHANGE)

        deletion.delete_account(user=user, now=NOW)
        deletion.erase(user=user)

        assert User.objects.filter(pk=user.pk).exists() is acted
        assert not Draft.objects.exists()


class TestClear:
    def test_empties_the_form_and_offers_the_way_back(self, client: Client) -> None:
        html = text(client.post("/draft/clear", form(prompt="many words", runs="2"), headers=HTMX))

        assert "many words" not in html
        assert f'action="/draft/restore?model={BANANA}"' in html and "Undo" in html
        assert "many words" not in text(client.get("/"))

        answer = client.post(f"/draft/restore?model={BANANA}", headers=HTMX)
        assert answer["HX-Retarget"] == "#composer"
        assert ">many words</textarea>" in text(answer) and 'name="runs" value="2" checked' in text(answer)

    def test_works_without_scripts(self, client: Client) -> None:
        answer = client.post("/draft/clear", form(prompt="many words"))

        page = text(client.get(answer["Location"]))
        assert "The form was cleared." in page and 'name="csrfmiddlewaretoken"' in page.partition("toasts")[2]
        assert ">many words</textarea>" in text(client.post("/draft/restore?model=" + BANANA, follow=True))

    def test_twice_still_leads_back_to_the_words(self, client: Client) -> None:
        client.post("/draft/clear", form(prompt="many words"), headers=HTMX)

        html = text(client.post("/draft/clear", form(prompt=""), headers=HTMX))

        assert "Undo" in html
        assert ">many words</textarea>" in text(client.post(f"/draft/restore?model={BANANA}", headers=HTMX))

    @pytest.mark.parametrize("prompt", ["x" * 70_000, "a\x00b"])
    def test_of_what_cannot_be_kept_offers_no_way_back(self, client: Client, prompt: str) -> None:
        client.post("/draft/clear", form(prompt="many words"), headers=HTMX)

        answer = client.post("/draft/clear", form(prompt=prompt), headers=HTMX)

        assert answer.status_code == 200
        assert "The form was cleared." in text(answer) and "Undo" not in text(answer)
        assert not Draft.objects.filter(before__isnull=False).exists()

    def test_undone_with_nothing_to_undo_changes_nothing(self, client: Client) -> None:
        write(client, prompt="a lamp")

        assert client.post("/draft/restore?model=nobody/nothing", headers=HTMX).status_code == 200
        assert ">a lamp</textarea>" in text(client.post(f"/draft/restore?model={BANANA}", headers=HTMX))

    def test_brings_back_only_ones_own(self, client: Client) -> None:
        client.post("/draft/clear", form(prompt="my own words"), headers=HTMX)

        bob = of(make_user(username="bob"))

        assert "my own words" not in text(bob.post(f"/draft/restore?model={BANANA}", headers=HTMX))


def send(client: Client, field: str = "image_input", **fields: Any) -> str:
    answer = client.post(f"/references?field={field}", form(**fields), headers=HTMX)
    assert answer.status_code == 200
    return text(answer)


class TestReferences:
    def test_are_sent_at_once_and_kept_in_the_draft(self, client: Client, user: User) -> None:
        html = send(
            client, "image_input", **{"image_input.upload": [upload(), upload("b.png", picture(colour="#123456"))]}
        )

        first, second = Asset.objects.order_by("created_at", "pk")
        assert html.index(str(first.pk)) < html.index(str(second.pk))
        assert 'id="count-image_input" hx-swap-oob="true" data-count>2<' in html
        assert Draft.objects.get(user=user).values["image_input"] == [str(first.pk), str(second.pk)]

    def test_say_beside_the_field_what_is_wrong_and_lose_nothing(self, client: Client, user: User) -> None:
        kept = keep(user)

        html = send(
            client,
            "image_input",
            image_input=[str(kept.pk)],
            **{"image_input.upload": SimpleUploadedFile("x.png", b"no")},
        )

        assert "x.png: The file is not" in html and str(kept.pk) in html

    def test_of_a_frame_are_the_last_one(self, client: Client, user: User) -> None:
        first, second = keep(user), keep(user)

        html = send(client, "image", model=SEEDANCE, image=[str(first.pk), str(second.pk)])

        assert str(second.pk) in html and str(first.pk) not in html
        # A frame has no count on the page.
        assert "hx-swap-oob" not in html

    def test_are_no_more_than_the_model_takes(self, client: Client, user: User) -> None:
        kept = [str(keep(user).pk) for _ in range(11)]

        html = send(client, image_input=kept)

        assert "At most 10 pictures; the last ones were left out." in html
        assert html.count('name="image_input"') == 10

    def test_move(self, client: Client, user: User) -> None:
        a, b, c = (str(keep(user).pk) for _ in range(3))

        html = send(client, image_input=[a, b, c], move=f"image_input:{c}:-1")

        assert html.index(a) < html.index(c) < html.index(b)

    @pytest.mark.parametrize(
        "move", ["", "x", "prompt:a:1", "image_input:{a}:7", "image_input:{a}:-1", "image_input::1"]
    )
    def test_stay_where_they_are_for_nonsense(self, client: Client, user: User, move: str) -> None:
        a, b = (str(keep(user).pk) for _ in range(2))

        html = send(client, image_input=[a, b], move=move.format(a=a))

        assert html.index(a) < html.index(b)

    def test_move_without_scripts(self, client: Client, user: User) -> None:
        a, b = (str(keep(user).pk) for _ in range(2))

        page = text(client.post(f"/generate/form?model={BANANA}", form(image_input=[a, b], move=f"image_input:{a}:1")))

        assert page.index(f'value="{b}" checked') < page.index(f'value="{a}" checked')
        assert ">a lake at dusk</textarea>" in page

    def test_of_another_do_not_exist(self, client: Client) -> None:
        theirs = keep(make_user(username="bob"))

        assert f"/assets/{theirs.pk}" not in send(client, image_input=[str(theirs.pk)])

    @pytest.mark.parametrize("field", ["", "prompt", "nothing"])
    def test_go_into_fields_for_pictures_only(self, client: Client, field: str) -> None:
        assert client.post(f"/references?field={field}", form()).status_code == 404


class TestHistory:
    def past(self, user: User, *prompts: str) -> None:
        for number, prompt in enumerate(prompts):
            make_prediction(user=user, prompt=prompt, now=NOW + timedelta(seconds=number))

    def test_lists_each_prompt_once_the_newest_first(self, client: Client, user: User) -> None:
        self.past(user, "a lamp", "a boat", "a lamp")

        page = text(client.get("/history"))

        assert page.count(">a lamp<") == 1 and page.index(">a lamp<") < page.index(">a boat<")

    def test_finds_all_words_in_any_order(self, client: Client, user: User) -> None:
        self.past(user, "a lamp by the sea", "the sea at noon", "100% wool")

        assert text(client.get("/history?q=SEA+lamp", headers=HTMX)).count("data-words") == 1
        assert text(client.get("/history?q=%25", headers=HTMX)).count("data-words") == 1
        assert "No prompt of yours holds these words." in text(client.get("/history?q=harbour", headers=HTMX))
        assert client.get("/history?q=" + "x" * 5000).status_code == 200

    def test_is_read_page_by_page(self, client: Client, user: User) -> None:
        User.objects.update(daily_count_limit=None, daily_micros_limit=None)
        self.past(user, *(f"prompt {number:02}" for number in range(25)))

        first = text(client.get("/history"))
        older = first.partition("before=")[2].partition('"')[0]
        second = text(client.get(f"/history?q=&before={older}", headers=HTMX))

        assert first.count("data-words") == 20 and second.count("data-words") == 5
        assert "prompt 04" in second and "prompt 05" not in second

    def test_is_nobody_elses(self, client: Client) -> None:
        bob = make_user(username="bob")
        self.past(bob, "a secret plan")
        theirs = Prediction.objects.get()

        assert "a secret plan" not in text(client.get("/history?q=secret"))
        assert "a secret plan" not in text(client.get(f"/history?before={theirs.pk}"))
        assert client.get(f"/?words={theirs.pk}").status_code == 404
        assert client.get(f"/?words={uuid.uuid4()}").status_code == 404

    def test_brings_the_words_into_the_form(self, client: Client, user: User) -> None:
        self.past(user, "a lamp by the sea")
        write(client, prompt="something else", aspect_ratio="21:9")

        page = text(client.get(f"/?model={BANANA}&words={Prediction.objects.get().pk}"))

        assert ">a lamp by the sea</textarea>" in page and 'value="21:9" checked' in page


@pytest.mark.parametrize("address", ["/draft", "/draft/clear", "/draft/restore", "/references"])
class TestStrangers:
    def test_are_sent_to_the_door(self, address: str) -> None:
        assert Client().post(address, form()).status_code == 302

    def test_cannot_post_from_elsewhere(self, address: str, user: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)

        assert client.post(address, form()).status_code == 403
