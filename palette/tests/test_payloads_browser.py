"""Forty ways to make a script of what people and the provider write, on every page, in a browser that would run it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from accounts.models import ApiToken, Invitation, User
from gallery.models import Asset, Collection, CollectionItem, OwnCategory, Tag, Tagging
from gallery.sharing import create_share_link, token_of
from generation.models import Attempt, Draft, OutgoingMessage, Output, Prediction, WebhookEndpoint
from generation.tests.browsing import Complaints, chromium_beside_rows
from generation.tests.making import BANANA, make_prediction
from palette.tests.test_every_route import ROUTES, make_things
from palette.tests.test_payloads import CALL, PAYLOADS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NOTE: Final = "window.pwned = () => console.error('a payload has run')"
# What would act only when somebody clicks, or without the policy.
ACTING: Final = """() => [...document.querySelectorAll("*")].flatMap((element) => [
  ...[...element.attributes].filter((one) => one.value.includes("pwned") && (/^(on|hx-|data-hx-)/.test(one.name)
    || (/^(href|src|action|formaction|data|srcdoc)$/.test(one.name) && /^\\s*java\\s*script:/i.test(one.value)))),
  ...(element.matches("script, style") && element.textContent.includes("pwned") ? [element] : []),
]).map((one) => `${one.nodeName} ${one.value ?? one.textContent}`)"""

# A part of a page, as a button of it would bring it.
FETCH: Final = "(address) => htmx.ajax('GET', address, { target: 'main', swap: 'innerHTML' })"


def written(start: int = 0) -> str:
    """All of them in one text, which begins with that of this number."""
    return " ".join([*PAYLOADS[start:], *PAYLOADS[:start]])


@pytest.fixture
def things(in_files: None) -> dict[str, dict[str, Any]]:
    """One of everything, and of what has a name, one for each payload; all of it is an administrator's."""
    now = timezone.now()
    ada = User.objects.create_superuser(PAYLOADS[0], "ada@example.org", "correct horse")
    User.objects.update(first_name=PAYLOADS[33][:150], last_name=PAYLOADS[4][:150])
    things = make_things(ada)
    for number in range(0, len(PAYLOADS), 10):
        make_prediction(user=ada, now=now, key=str(number), prompt=written(number))
    failed = {"status": "failed", "error_code": "refused", "error_message": written(), "due_at": None}
    Prediction.objects.filter(idempotency_key__in=["0", "20", "40"]).update(**failed)
    Attempt.objects.update(
        error=written(), logs=written(), answer={"error": written()}, provider_status=PAYLOADS[0][:40]
    )
    attempt = Attempt.objects.all()[0]
    Output.objects.create(
        prediction=attempt.prediction,
        attempt=attempt,
        index=0,
        url=f"https://x/{written()}",
        due_at=now,
        expires_at=now,
    )
    Draft.objects.create(user=ada, model=BANANA, values={"prompt": written()}, changed_at=now)
    Asset.objects.update(
        title=PAYLOADS[0], notes=written(), prompt=written(), category=PAYLOADS[4][:40], reference_name=PAYLOADS[6][:40]
    )
    name(ada)
    return things


def name(ada: User) -> None:
    """Everything that has a name, called like the payloads."""
    now, asset = timezone.now(), Asset.objects.get()
    tags = Tag.objects.bulk_create(Tag(owner=ada, name=text[:60]) for text in PAYLOADS)
    Tagging.objects.bulk_create(Tagging(asset=asset, tag=tag, created_at=now) for tag in tags)
    OwnCategory.objects.bulk_create(OwnCategory(owner=ada, name=text[:40]) for text in shorter(40))
    collections = Collection.objects.bulk_create(
        Collection(owner=ada, name=text[:60], created_at=now) for text in PAYLOADS
    )
    CollectionItem.objects.bulk_create(
        CollectionItem(asset=asset, collection=collection, created_at=now) for collection in collections
    )
    ApiToken.objects.bulk_create(
        ApiToken(user=ada, name=text, prefix="dp_", digest=str(number), created_at=now)
        for number, text in enumerate(PAYLOADS)
    )
    Invitation.objects.create(email=f"{PAYLOADS[0]}@x", digest="d", created_at=now, expires_at=now)
    WebhookEndpoint.objects.bulk_create(
        WebhookEndpoint(user=ada, url=f"https://x/{text}", description=text, secret="s", created_at=now)
        for text in PAYLOADS
    )
    WebhookEndpoint.objects.update(url=f"https://x/{written()}", description=PAYLOADS[0])
    OutgoingMessage.objects.update(body=written())


def shorter(most: int) -> list[str]:
    """Cut so, and none twice."""
    return list(dict.fromkeys(text[:most] for text in PAYLOADS))


def addresses(things: dict[str, dict[str, Any]]) -> list[str]:
    """All that can be looked at: what the owner sees, what visitors see by a link, the administrator's lists."""
    now = timezone.now()
    owner, shared = User.objects.get(), (Asset.objects.get(), Collection.objects.all()[0])
    links = [
        create_share_link(owner=owner, to=one, expires_at=now + timedelta(days=1), now=now, show_prompt=True)
        for one in shared
    ]
    asset, collection = (one.pk for one in shared)
    found = [
        *(route.address(things) for route in ROUTES if not route.is_api and not (route.is_open and route.arguments)),
        *(f"/s/{token_of(link)}/" for link in links),
        *(
            f"/s/{token_of(links[1])}/{asset}/",
            f"/gallery/?collection={collection}",
            "/gallery/?q=script",
            "/?type=video",
        ),
        *administration(),
    ]
    return list(dict.fromkeys(found))


def html(client: Client, address: str, **headers: str) -> str:
    """What is answered there, if it is to be shown."""
    answer: Any = client.get(address, headers=headers)
    shown = answer.status_code == 200 and answer["Content-Type"].startswith("text/html")
    return b"".join(answer).decode() if shown else ""


def administration() -> Iterator[str]:
    """Each list of the admin, and its newest row."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        try:
            yield reverse(f"{label}_changelist")
            if newest := model._default_manager.order_by("-pk").first():
                yield reverse(f"{label}_change", args=[newest.pk])
        except NoReverseMatch:
            continue


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_beside_rows() as running:
        yield running


@pytest.fixture
def client(things: dict[str, dict[str, Any]]) -> Client:
    """Whose session the browser has, too."""
    client = Client()
    client.force_login(User.objects.get())
    return client


@pytest.fixture
def page(browser: Browser, client: Client, live_server: LiveServer) -> Iterator[Page]:
    """Signed in. The server of the test knows no sockets."""
    context = browser.new_context(base_url=live_server.url)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie.value, "url": live_server.url}])
    page = context.new_page()
    page.route_web_socket("**/ws/**", lambda socket: None)
    page.add_init_script(NOTE)
    yield page
    context.close()


def test_are_text_on_every_page(page: Page, client: Client, things: dict[str, dict[str, Any]]) -> None:
    complaints, shown = Complaints(), dict[str, int]()
    acting, fragments = list[str](), list[str]()
    complaints.listen_to(page)
    page.on("dialog", lambda dialog: complaints.heard.append(f"{page.url}: {dialog.message}"))

    def look(address: str) -> None:
        shown[address] = page.content().count(CALL.partition("(")[0])
        acting.extend(f"{address}: {one}" for one in page.evaluate(ACTING))

    for address in addresses(things):
        if "</html>" in html(client, address):
            page.goto(address)
            look(address)
        if (fragment := html(client, address, **{"HX-Request": "true"})) and "</html>" not in fragment:
            fragments.append(address)
    page.goto("/gallery/")
    for address in fragments:
        page.evaluate(FETCH, address)
        look(f"{address} by htmx")

    assert complaints.heard == []
    assert acting == []
    assert len(fragments) > 5
    assert len([address for address, count in shown.items() if count]) > 40, shown
    assert sum(shown.values()) > 2_000
