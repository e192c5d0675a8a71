"""What people and the provider write is text on every page: forty ways to make it a script, none of which is one."""

from datetime import timedelta
from html.parser import HTMLParser
from typing import Final

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.overseeing import ADMIN, make_administrator
from gallery import descriptions
from gallery.organising import Change, organise_assets
from gallery.sharing import create_share_link, token_of
from gallery.tests.making import make_asset
from gallery.trash import trash_asset
from generation.models import Prediction
from generation.tests.making import make_prediction

pytestmark = pytest.mark.django_db
CALL: Final = "pwned(1)"
TAGS: Final = (
    *("<script>{}</script>", "</script><script>{}</script>", "<ScRiPt>{}</sCrIpT>", "<script/x>{}</script>"),
    *("<img src=x onerror={}>", "<img/src=x onerror={}>", "<svg onload={}>", "<svg/onload={}>", "<body onload={}>"),
    *("<iframe srcdoc='<script>{}</script>'>", "<iframe src=javascript:{}>", "<object data=javascript:{}>"),
    *("<embed src=javascript:{}>", "<a href=javascript:{}>x</a>", "<a href='java\tscript:{}'>x</a>"),
    *("<form action=javascript:{}><input type=submit>", "<button formaction=javascript:{}>x</button>"),
    *("<math href=javascript:{}>x</math>", "<details open ontoggle={}>", "<video><source onerror={}></video>"),
    *("<input autofocus onfocus={}>", "<select autofocus onfocus={}>", "<textarea autofocus onfocus={}>"),
    *("<marquee onstart={}>", "<style>@import 'javascript:{}'</style>", "<link rel=stylesheet href=javascript:{}>"),
    *("<meta http-equiv=refresh content='0;javascript:{}'>", "<base href=javascript:{}//>", "<div hx-on:load={}>"),
    *("<div hx-get=javascript:{} hx-trigger=load>", "<div data-hx-on:load={}>", "<!--><script>{}</script>-->"),
)
BREAKS: Final = (
    *('"><script>{}</script>', "'><script>{}</script>", '" onmouseover={} x="', "' onmouseover={} x='"),
    *(
        "` onmouseover={}",
        "{{{{ {} }}}}",
        "{{% {} %}}",
        "</title><script>{}</script>",
        "</textarea><script>{}</script>",
    ),
)
PAYLOADS: Final = [text.format(CALL) for text in (*TAGS, *BREAKS)]


class Acting(HTMLParser):
    """Where the payload has become more than text: in an element's name, in an attribute that acts, in a script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside.append(tag)
        for name, value in attrs:
            acts = name.startswith(
                ("on", "hx-on", "data-hx-on", "src", "href", "action", "formaction", "data-hx", "hx-")
            )
            acts |= (tag, name) == ("object", "data")
            if CALL in name or (acts and CALL in (value or "") and not (value or "").startswith(("/", "?", "{"))):
                self.found.append(f"<{tag} {name}={value}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            del self.inside[len(self.inside) - 1 - self.inside[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if CALL in data and self.inside and self.inside[-1] in {"script", "style"}:
            self.found.append(data)


@pytest.fixture
def root(in_files: None) -> User:
    """An administrator whose prompts, titles, tags and errors are payloads."""
    user = make_administrator()
    User.objects.filter(pk=user.pk).update(first_name=PAYLOADS[0], last_name=PAYLOADS[33])
    now = timezone.now()
    for number, payload in enumerate(PAYLOADS):
        made = make_prediction(user=user, now=now, key=str(number), prompt=payload)
        failed = {"status": "failed", "error_code": "refused", "error_message": payload, "due_at": None}
        Prediction.objects.filter(pk=made.pk).update(**(failed if number % 2 else {}))
        asset = make_asset(owner=user)
        descriptions.update_asset(asset=asset, changes={"title": payload[:60], "tags": [payload[:30]]}, now=now)
    organise_assets(owner=user, ids=[asset.pk], change=Change(collect=PAYLOADS[0]), now=now)
    trash_asset(asset=user.assets.exclude(pk=asset.pk)[0], now=now)
    return user


def test_are_forty() -> None:
    assert len(set(PAYLOADS)) >= 40


def test_stay_text_on_every_page(client: Client, root: User) -> None:
    client.force_login(root)
    one, asset = Prediction.objects.filter(status="failed")[0], root.assets.all()[0]
    newest = Prediction.objects.latest("created_at", "pk")
    now = timezone.now()
    link = create_share_link(
        owner=root, to=root.collections.get(), expires_at=now + timedelta(days=1), now=now, show_prompt=True
    )
    pages = [
        *(f"/s/{token_of(link)}/", "/gallery/shelves/", "/gallery/?trash=1", "/history"),
        *("/", f"/feed?before={newest.pk}", "/gallery/", "/settings/", "/usage/"),
        *(f"/gallery/{asset.pk}/", f"/predictions/{one.pk}/card"),
        *(f"{ADMIN}generation/prediction/", f"{ADMIN}generation/prediction/{one.pk}/change/"),
        *(f"{ADMIN}accounts/user/", f"{ADMIN}accounts/user/{root.pk}/change/", f"{ADMIN}gallery/asset/"),
        f"{ADMIN}accounts/dailyspend/",
    ]
    shown, found = {}, []
    for page in pages:
        response = client.get(page)
        assert response.status_code == 200, page
        body = response.content.decode()
        shown[page] = body.count(CALL)
        acting = Acting()
        acting.feed(body)
        found += [f"{page}: {line}" for line in acting.found]

    assert found == []
    assert [page for page in pages if not shown[page]] == ["/usage/"]  # elsewhere they are there, as text
    assert sum(shown.values()) > 100


def test_would_be_seen() -> None:
    for payload in PAYLOADS:
        found = []
        for place in ("<p>{}</p>", '<p title="{}">', "<p title='{}'>", "<p title={}>"):
            acting = Acting()
            acting.feed(place.format(payload))
            found += acting.found
        assert found, payload
