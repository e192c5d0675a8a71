"""The studio's page: what an address opens, the feed in its pages, the frame around it."""

import re
import uuid
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from generation.models import Prediction
from generation.tests.making import BANANA, SEEDANCE, make_prediction, make_user
from generation.tests.test_web_generate import keep, text
from generation.web.feed import PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user(daily_count_limit=None)


@pytest.fixture
def client(user: User) -> Client:
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


def frames(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<article class="card" id="prediction-(\d+)"', page)]


class TestAddress:
    def test_opens_the_default_model(self, client: Client) -> None:
        page = text(client.get("/"))

        assert f'name="model" value="{BANANA}"' in page
        assert "≈ $0.039" in page and "$5.00 left today, $60.00 this month" in page

    def test_opens_a_film(self, client: Client) -> None:
        page = text(client.get("/?type=video"))

        assert f'name="model" value="{SEEDANCE}"' in page
        assert "First frame" in page and 'name="duration"' in page and "≈ $0.18" in page

    def test_opens_a_model_by_name(self, client: Client) -> None:
        assert "FLUX" in text(client.get("/?model=black-forest-labs/flux-schnell"))

    def test_says_when_there_is_no_such_model(self, client: Client) -> None:
        assert "There is no model called gone/model here" in text(client.get("/?model=gone/model"))

    def test_fills_in_a_prompt(self, client: Client) -> None:
        page = text(client.get("/", {"prompt": "fog <b>", "aspect_ratio": "2:3"}))

        assert "fog &lt;b&gt;</textarea>" in page and 'value="2:3" checked' in page

    @pytest.mark.parametrize(
        ("address", "field"),
        [("/?reference={}", "image_input"), ("/?type=video&image={}", "image"), ("/?image={}", "image")],
    )
    def test_takes_a_picture_along(self, client: Client, user: User, address: str, field: str) -> None:
        kept = keep(user)

        assert f'name="{field}" value="{kept.pk}" checked' in text(client.get(address.format(kept.pk)))

    @pytest.mark.parametrize("named", ["another's", "nobody's", "nonsense"])
    def test_does_not_take_a_strangers_picture(self, client: Client, named: str) -> None:
        theirs = keep(make_user(username="bob"))
        value = {"another's": theirs.pk, "nobody's": uuid.uuid4()}.get(named, named)

        page = text(client.get(f"/?reference={value}"))

        assert "That picture is not in your gallery." in page
        assert f'value="{value}"' not in page

    def test_takes_settings_up_again(self, client: Client, user: User) -> None:
        kept = keep(user)
        once = make_prediction(user=user, model=SEEDANCE, duration=8, resolution="480p", image=str(kept.pk), seed=7)

        page = text(client.get(f"/?reuse={once.pk}"))

        assert "a lake at dusk</textarea>" in page
        assert 'value="8" selected' in page and 'value="480p" checked' in page and 'value="7"' in page
        assert f'name="image" value="{kept.pk}" checked' in page

    def test_does_not_take_up_another_users_settings(self, client: Client) -> None:
        theirs = make_prediction(user=make_user(username="bob"))

        assert client.get(f"/?reuse={theirs.pk}").status_code == 404

    @pytest.mark.parametrize("query", ["reuse=x", "before=x", "type=x", "model=", "image=x&type=image", "seed=%01"])
    def test_survives_nonsense(self, client: Client, query: str) -> None:
        assert client.get(f"/?{query}").status_code == 200

    def test_of_strangers_is_the_door(self) -> None:
        assert Client().get("/?type=video")["Location"] == "/accounts/login/?next=/%3Ftype%3Dvideo"


class TestFirstSheet:
    def test_offers_three_prompts_that_cost_cents(self, client: Client) -> None:
        page = text(client.get("/"))

        found = re.findall(r'class="starter" href="([^"]+)".*?class="edge__end num">\$([0-9.]+)</b>', page, re.S)
        assert len(found) == 3 and all(float(price) < 0.05 for _, price in found)
        for address, price in found:
            filled = text(client.get(unescape(address).partition("#")[0]))
            assert f"≈ ${price}</b>" in filled, address

    def test_says_plainly_what_is_simulated_and_how_it_ends(self, client: Client) -> None:
        page = text(client.get("/"))

        assert "Pictures and films here are simulated" in page and "REPLICATE_API_TOKEN=r8_… make run" in page

    def test_is_gone_with_the_first_frame(self, client: Client, user: User) -> None:
        make_prediction(user=user)

        assert 'id="first-sheet"' not in text(client.get("/"))


class TestFeed:
    def make(self, user: User, count: int) -> None:
        now = timezone.now()
        for number in range(count):
            make_prediction(user=user, now=now - timedelta(hours=count - number))

    def test_teaches_when_it_is_empty(self, client: Client) -> None:
        page = text(client.get("/"))

        assert "Your first sheet" in page and page.count("Use this prompt") == 3

    def test_shows_the_newest_first_and_leads_to_older(self, client: Client, user: User) -> None:
        self.make(user, PAGE + 2)
        page = text(client.get("/"))
        assert frames(page) == list(range(PAGE + 2, 2, -1))

        found = re.search(r'href="/\?before=([^"]+)" hx-get="(/feed\?before=[^"]+)"', page)
        assert found
        assert frames(text(client.get(f"/?before={found.group(1)}"))) == [2, 1]
        assert frames(text(client.get(found.group(2)))) == [2, 1]

    def test_heads_each_day_once_over_two_pages(self, client: Client, user: User) -> None:
        self.make(user, PAGE + 20)
        page = text(client.get("/"))
        found = re.search(r'hx-get="(/feed\?before=[^"]+)"', page)
        assert found

        heads = re.findall(r'<h2 id="(day-[^"]+)-h">', page + text(client.get(found.group(1))))

        assert len(heads) == len(set(heads)) >= 2

    def test_belongs_to_its_owner(self, client: Client) -> None:
        theirs = make_prediction(user=make_user(username="bob"))

        assert frames(text(client.get("/"))) == []
        assert client.get(f"/feed?before={theirs.pk}").status_code == 404
        assert client.get(f"/?before={theirs.pk}").status_code == 404

    def test_asks_the_database_as_often_for_a_full_page(self, client: Client, user: User) -> None:
        def statements() -> int:
            with CaptureQueriesContext(connection) as asked:
                client.get("/")
            return len(asked)

        self.make(user, 3)
        few = statements()
        self.make(user, 25)

        assert statements() == few <= 24


class TestFrame:
    def test_says_plainly_that_the_sandbox_pretends(self, client: Client, settings: Any) -> None:
        settings.PROVIDER = "sandbox"
        assert "simulated" in text(client.get("/")) and "REPLICATE_API_TOKEN" in text(client.get("/"))

        settings.PROVIDER = "replicate"
        assert "REPLICATE_API_TOKEN" not in text(client.get("/"))

    def test_has_no_inline_script_or_style(self, client: Client, user: User) -> None:
        make_prediction(user=user)

        for address in ("/", "/?type=video", "/nowhere"):
            page = text(client.get(address))
            assert not re.findall(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:", page)

    def test_carries_a_strict_policy(self, client: Client) -> None:
        policy = client.get("/")["Content-Security-Policy"]

        assert "script-src 'self';" in policy + ";" and "unsafe" not in policy

    def test_writes_the_theme_before_the_first_paint(self, client: Client, user: User) -> None:
        assert "data-theme=" not in text(client.get("/")).split("<head>")[0]

        response = client.post("/theme", {"theme": "light", "next": "/?type=video"})

        assert (response.status_code, response["Location"]) == (303, "/?type=video")
        assert 'data-theme="light"' in text(client.get("/"))
        another_browser = Client()
        another_browser.force_login(user)
        assert 'data-theme="light"' in text(another_browser.get("/"))

    def test_takes_no_other_theme_and_leads_nowhere_else(self, client: Client) -> None:
        response = client.post("/theme", {"theme": '"><script>', "next": "https://evil.example/"})

        assert response["Location"] == "/"
        assert "theme" not in response.cookies


class TestErrorPages:
    @pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "413", "429", "500", "503"])
    def test_render_without_a_request_and_lead_on(self, name: str) -> None:
        page = render_to_string(f"{name}.html")

        assert f">{name[:3]}<" in page and 'class="btn btn--primary" href="/"' in page

    def test_meet_a_wrong_address(self, client: Client) -> None:
        response = client.get("/nowhere")

        assert response.status_code == 404 and "No such frame" in text(response)


class TestPick:
    def test_offers_the_creators_own_pictures(self, client: Client, user: User) -> None:
        mine, theirs = keep(user), keep(make_user(username="bob"))

        html = text(client.get(f"/pick?model={BANANA}&field=image_input"))

        assert f'type="checkbox" name="image_input" value="{mine.pk}"' in html
        assert str(theirs.pk) not in html

    def test_lets_one_be_chosen_for_a_frame(self, client: Client, user: User) -> None:
        keep(user)

        assert 'type="radio" name="image"' in text(client.get(f"/pick?model={SEEDANCE}&field=image"))

    def test_knows_no_other_field(self, client: Client) -> None:
        assert client.get(f"/pick?model={BANANA}&field=prompt").status_code == 404


class TestBudget:
    def test_tells_what_is_left(self, client: Client, user: User) -> None:
        Prediction.objects.all().delete()
        make_prediction(user=user, now=timezone.now())

        html = text(client.get("/budget"))
        of_the_day = text(client.get(f"/budget?day={timezone.localdate():%Y-%m-%d}"))

        assert "$4.96</b> left today" in html and "1 frame" not in html
        assert "1 frame" in of_the_day
        for day in ("x", "0001-01-01", "9999-12-31"):
            assert client.get(f"/budget?day={day}").status_code in (200, 404)
