"""The pages in Chromium, as they are met by somebody without sight, without a mouse, or with colours of their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect

from accounts.models import User
from generation.tests.browsing import Complaints, chromium_beside_rows, wait_until
from generation.tests.making import make_user
from palette.tests.scene import Scene, set_scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# All that a theme can change.
OF_COLOUR: Final = ["color-contrast", "link-in-text-block"]
# A phone, and a screen of 1280 pixels at 200 %.
WIDTHS: Final = (320, 640)
ERRORS: Final = ("403_csrf", "500", "503")
# Fifty pages on a machine that does other things as well.
PATIENCE_MS: Final = 120_000
# axe does not compare text with a gradient, or with what a drawing may cover. Drawings go, and of the page's own
# gradient the end stays that is the nearer to the text.
PLAIN: Final = """() => {
  const ofOwn = getComputedStyle(document.body).backgroundImage === "none";
  const plain = new CSSStyleSheet();
  plain.replaceSync(`
    .ph, .mark, .leader__ring { visibility: hidden; }
    ::before, ::after, select { background-image: none; }
    ${ofOwn ? "" : "body { background: light-dark(var(--table), var(--glow)); }"}
  `);
  document.adoptedStyleSheets.push(plain);
}"""
# What is cut off at the right, unless it lies in something that scrolls by itself.
TOO_WIDE: Final = """() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return null;
  const wide = [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > root.clientWidth)
    .map((one) => one.outerHTML.slice(0, 80));
  return `${root.scrollWidth} px: ${wide.slice(0, 3).join(" | ")}`;
}"""

# What is chosen and looks as what is not.
ALIKE: Final = """() => [...document.querySelectorAll(".nav, .seg, .shapes")].filter((group) => {
  const isChosen = (one) => one.matches("[aria-current], :has(:checked)");
  const colours = ["backgroundColor", "borderBottomColor"];
  const look = (one) => one && colours.map((name) => getComputedStyle(one)[name]).join();
  const [chosen, other] = [isChosen, (one) => !isChosen(one)].map((is) => look([...group.children].find(is)));
  return chosen && chosen === other;
}).map((group) => group.outerHTML.slice(0, 100))"""
MOVING: Final = "document.getAnimations().filter((one) => one.playState === 'running').map((one) => one.animationName)"

# What has the focus: whether a ring is around it, and whether any of it can be seen.
STOP: Final = """() => {
  const one = document.activeElement;
  const shown = [one, ...one.labels ?? []];
  const isRinged = [...shown, one.parentElement].some((part) => getComputedStyle(part).outlineStyle !== "none");
  const isSeen = shown.some((part) => {
    const box = part.getBoundingClientRect();
    return [[.5, .5], [.1, .1], [.9, .1], [.1, .9], [.9, .9]].some(([x, y]) => {
      const hit = document.elementFromPoint(box.left + x * box.width, box.top + y * box.height);
      return hit && (part.contains(hit) || (hit.contains(part) && hit !== document.body));
    });
  });
  return { isEnd: one === document.body, isRinged, isSeen, html: one.outerHTML.slice(0, 120) };
}"""
MOST_STOPS: Final = 250
# A screen and a phone.
TABBED_WIDTHS: Final = (1280, 390)
# Where, what opens it, and what is opened.
DIALOGS: Final = [
    ("/", "[data-action=keys]", "#keys"),
    ("/", "#composer [data-popover=history]", "#history"),
    ("/gallery/", ".frame [popovertarget=shelve]", "#shelve"),
]


@dataclass(frozen=True)
class Sight:
    """An address; with `pressed` what is opened there before it is looked at, `within` which alone it then is."""

    path: str
    pressed: tuple[str, ...] = ()
    within: str = ""

    def __str__(self) -> str:
        return " › ".join([self.path, *self.pressed])


def of_creator(scene: Scene) -> list[Sight]:
    """With something on every page; an administrator's as well."""
    things = (scene.picture, f"{scene.picture}share", scene.film, scene.compared, scene.trashed, scene.shelf)
    own = ("", "security/", "webhooks/", "delete/")
    return [
        *map(Sight, ("/", "/?type=video", "/history", "/gallery/", "/gallery/?trash=1", "/gallery/?q=nothing+like+it")),
        *map(Sight, (*things, "/gallery/shelves/", "/usage/", scene.webhook, scene.delivery)),
        *(Sight(f"/settings/{path}") for path in own),
        *(Sight(f"/accounts/{path}/") for path in ("password/change", "logout", "confirm")),
        Sight(f"/{settings.ADMIN_PATH}spend/"),
        Sight("/", ("#generate", "#composer .error")),
        Sight("/", ("[data-action=keys]",), "#keys"),
        Sight("/", ("text=History", "#history h2"), "#history"),
        Sight("/", (".menu--flow summary",), ".composer"),
        Sight("/gallery/", ("summary:has-text('Category')",), ".menu[open]"),
        Sight("/gallery/", (".frame [popovertarget] >> nth=0", "#shelve h2"), "#shelve"),
        Sight("/gallery/?select=1", (".pick input >> nth=0",)),
        Sight("/gallery/?select=1", (".pick input >> nth=0", "#bulk summary:has-text('Tag')"), "#bulk"),
        *(Sight(f"/broken/{name}") for name in ERRORS),
    ]


def of_nobody(scene: Scene) -> list[Sight]:
    """Whoever has no account here, or has not signed in."""
    doors = ("login/", "signup/", "password/reset/", "password/reset/done/", "confirm-email/")
    return [
        *(Sight(f"/accounts/{path}") for path in doors),
        Sight("/accounts/signup/", ("form[action*=signup] [type=submit]",)),
        *map(Sight, (scene.shared, scene.locked, "/s/nothing/")),
    ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_beside_rows() as running:
        yield running


def break_down(route: Route) -> None:
    """The page of an error that a test cannot make happen."""
    name = route.request.url.rsplit("/", 1)[-1]
    route.fulfill(content_type="text/html", body=render_to_string(f"{name}.html"))


def enter(browser: Browser, url: str, user: User | None, complaints: Complaints) -> Page:
    """A page of somebody's browser, where nothing moves and no socket is needed."""
    context = browser.new_context(base_url=url, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    if user:
        client, name = Client(), settings.SESSION_COOKIE_NAME
        client.force_login(user)
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
    page = context.new_page()
    complaints.listen_to(page)
    page.route_web_socket("**/ws/**", lambda socket: None)
    page.route("**/broken/*", break_down)
    return page


def violations(page: Page, *, within: str, **only: Any) -> list[str]:
    """What axe has against the page as it is."""
    found = Axe().run(page, context=within or None, options={"resultTypes": ["violations"], "runOnly": only})
    return [
        f"{one['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]


def faults(page: Page, sight: Sight) -> list[str]:
    """Everything that would keep somebody out."""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(sight.path)
    for selector in sight.pressed:
        page.click(selector)
    page.evaluate(PLAIN)
    found = violations(page, within=sight.within, type="tag", values=RULES)
    page.emulate_media(color_scheme="dark")
    found += violations(page, within=sight.within, type="rule", values=OF_COLOUR)
    page.emulate_media(forced_colors="active")
    found += [f"looks chosen and not in forced colours: {group}" for group in page.evaluate(ALIKE)]
    found += [f"moves in spite of reduced motion: {name}" for name in page.evaluate(MOVING)]
    page.emulate_media(forced_colors="none")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 700})
        if wide := page.evaluate(TOO_WIDE):
            found.append(f"is wider than {width} px: {wide}")
    return [f"{sight}: {fault}" for fault in found]


class TestEveryPage:
    def test_keeps_nobody_out(self, browser: Browser, live_server: object) -> None:
        scene = set_scene(now=timezone.now())
        newcomer = make_user(username="new")
        walks = [
            (None, of_nobody(scene)),
            (newcomer, [Sight("/"), Sight("/gallery/"), Sight("/usage/")]),
            (scene.owner, of_creator(scene)),
        ]

        complaints = Complaints()
        found: list[str] = []
        for user, sights in walks:
            page = enter(browser, str(live_server), user, complaints)
            for sight in sights:
                found += faults(page, sight)

        assert found == []
        assert [heard for heard in complaints.heard if "status of 4" not in heard] == []


def go_to(page: Page, what: str) -> None:
    """By Tab alone; fails where no number of them leads there."""
    wanted = page.locator(what).first
    wanted.wait_for()
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    pytest.fail(f"no Tab leads to {what}")


def press(page: Page, what: str, key: str = "Enter") -> None:
    """What a keyboard can do with it."""
    go_to(page, what)
    page.keyboard.press(key)


class TestWithoutMouse:
    @pytest.fixture
    def page(self, browser: Browser, live_server: object) -> Iterator[Page]:
        complaints = Complaints()
        page = enter(browser, str(live_server), set_scene(now=timezone.now()).owner, complaints)
        page.set_viewport_size({"width": 1280, "height": 900})
        yield page
        page.context.close()
        assert complaints.heard == []

    def test_asks_cancels_opens_stars_tags_selects_trashes_and_takes_back(self, page: Page) -> None:
        page.goto("/")
        go_to(page, "#prompt")
        page.keyboard.type("a ratchet")
        press(page, "#generate")
        card = page.locator(".card:has-text('a ratchet')")
        expect(card).to_have_count(1)
        press(page, ".card:has-text('a ratchet') >> text=Cancel")
        expect(card).to_contain_text("Canceled")
        expect(page.locator("#said")).to_contain_text("Canceled")

        press(page, ".card[data-state=succeeded] >> text=Open")
        press(page, "[name=favourite]")
        expect(page.locator("[name=favourite]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[name=favourite]")).to_be_focused()
        page.goto("/gallery/")
        press(page, ".frame [popovertarget=shelve]")
        go_to(page, "#shelve-tags")
        page.keyboard.type("workshop")
        page.keyboard.press("Enter")
        expect(page.locator("#shelve .chip:has-text('workshop')")).to_be_visible()
        page.keyboard.press("Escape")

        press(page, "a:has-text('Select')")
        expect(page.locator(".picking")).to_be_visible()
        frames = page.locator(".frame").count()
        for number in (0, 1):
            press(page, f".pick input >> nth={number}", "Space")
        press(page, "#bulk button:has-text('Trash')")
        expect(page.locator(".frame")).to_have_count(frames - 2)
        press(page, "#trashed button")
        expect(page.locator(".frame")).to_have_count(frames)

    def test_comes_back_from_dialogs(self, page: Page) -> None:
        for address, opener, dialog in DIALOGS:
            page.goto(address)
            press(page, opener)
            expect(page.locator(dialog)).to_be_visible()
            wait_until(page, f"document.querySelector('{dialog}').contains(document.activeElement)")
            page.keyboard.press("Escape")
            expect(page.locator(dialog)).to_be_hidden()
            expect(page.locator(opener).first).to_be_focused()

    def test_always_sees_where_it_is(self, page: Page) -> None:
        lost = []
        for width in TABBED_WIDTHS:
            page.set_viewport_size({"width": width, "height": 700})
            for address in ("/", "/gallery/?select=1"):
                page.goto(address)
                for _ in range(MOST_STOPS):
                    page.keyboard.press("Tab")
                    stop = page.evaluate(STOP)
                    if stop["isEnd"]:
                        break
                    if not (stop["isRinged"] and stop["isSeen"]):
                        lost.append((width, address, stop))

        assert lost == []
