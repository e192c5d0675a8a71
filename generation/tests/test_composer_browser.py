"""The composer on the running product: pictures that come and move, words that stay, many cards that change at once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from gallery.tests.samples import picture
from generation.tests.browsing import Complaints, chromium, sign_up, wait_until
from generation.tests.running_studio import RunningStudio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DONE = ".card[data-state=succeeded]"
STRIP = "#chosen-image_input .ref__pick input"
ORDER = f"[...document.querySelectorAll('{STRIP}')].map((box) => box.value)"
MANY = 200
# Copies of the card on the page under numbers of their own, as if so many had been asked for.
COPY = """(many) => {
  const card = document.querySelector(".card");
  const sheet = card.parentElement;
  for (let number = 1000; number < 1000 + many; number++) {
    const copy = card.cloneNode(true);
    copy.id = `prediction-${number}`;
    copy.dataset.state = "processing";
    copy.dataset.event = "1";
    sheet.append(copy);
    htmx.process(copy);
  }
  return card.outerHTML;
}"""


# Nothing is painted until all have come: the worst that can happen at once.
HOLD = """() => {
  window.arrived = 0;
  document.addEventListener("htmx:wsBeforeMessage", () => arrived++);
  window.paint = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (show) => { window.held = show; };
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio"), speed="instant") as studio:
        yield studio


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, studio: RunningStudio) -> Iterator[Page]:
    complaints = Complaints()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=studio.url)
    page = context.new_page()
    complaints.listen_to(page)
    yield page
    context.close()
    assert complaints.heard == []


def picked(name: str, colour: str) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": picture(colour=colour)}


def test_keeps_pictures_and_words_through_a_reload_and_on_another_device(
    studio: RunningStudio, browser: Browser, page: Page
) -> None:
    sign_up(page, studio.url, "rosa")
    page.set_input_files(
        "[name='image_input.upload']",
        [picked("a.png", "#aa2222"), picked("b.png", "#22aa22"), picked("c.png", "#2222aa")],
    )
    wait_until(page, f"({ORDER}).length === 3")
    first, second, third = page.evaluate(ORDER)

    page.focus(STRIP)
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate(ORDER) == [second, first, third]
    page.locator(".ref__move:visible").last.click()
    wait_until(page, f"({ORDER}).at(-1) === '{first}'")
    strip = page.locator("#chosen-image_input li.ref")
    strip.nth(2).drag_to(strip.nth(0), target_position={"x": 5, "y": 30})
    assert page.evaluate(ORDER) == [first, second, third]

    with page.expect_response("**/draft"):
        page.fill("#prompt", "a lamp in the window")
    page.reload()
    expect(page.locator("#prompt")).to_have_value("a lamp in the window")
    assert page.evaluate(ORDER) == [first, second, third]
    # Leaving at once loses nothing either.
    page.fill("#prompt", "a lamp in the other window")
    page.reload()
    expect(page.locator("#prompt")).to_have_value("a lamp in the other window")

    page.click("#composer >> text=Clear")
    expect(page.locator("#prompt")).to_have_value("")
    page.click("#toasts >> text=Undo")
    expect(page.locator("#prompt")).to_have_value("a lamp in the other window")
    expect(page.locator("#toasts .toast")).to_have_count(0)


def test_keeps_words_that_were_kept_while_an_older_page_was_on_its_way(studio: RunningStudio, page: Page) -> None:
    def answer_late(route: Route) -> None:
        answer = route.fetch()
        time.sleep(1.5)  # the draft has come by then, but this page knows nothing of it
        route.fulfill(response=answer)

    sign_up(page, studio.url, "olga")
    # To Chromium an answer that is held up so comes from nowhere, and may open no socket.
    page.route_web_socket("**/ws/studio", lambda socket: None)
    page.route(f"{studio.url}/", answer_late, times=1)
    page.fill("#prompt", "a lamp in no window")
    page.reload()

    expect(page.locator("#prompt")).to_have_value("a lamp in no window")


def test_sends_once_and_finds_the_words_again_by_keyboard(studio: RunningStudio, page: Page) -> None:
    sign_up(page, studio.url, "timo")
    page.click("label:has([name=runs][value='2'])")
    expect(page.locator("#estimate")).to_contain_text("2 × $0.039")
    page.fill("#prompt", "a ferry at night")
    page.evaluate("for (let i = 0; i < 5; i++) document.querySelector('#composer').requestSubmit()")
    page.wait_for_selector(f"#prediction-1{DONE}")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card .edge__no").first).to_contain_text("1–2")

    page.fill("#prompt", "something else")
    page.focus("#composer >> text=History")
    page.keyboard.press("Enter")
    expect(page.locator("#history [type=search]")).to_be_focused()
    page.keyboard.type("night ferry")
    expect(page.locator("#history [data-words]")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#prompt")).to_have_value("a ferry at night")
    expect(page.locator("#prompt")).to_be_focused()
    expect(page.locator("#history")).to_be_hidden()

    # What was being written does not stand in the way of what a link brings, now or later.
    page.fill("#prompt", "half a thought")
    page.goto(page.locator(".card >> text=Reuse").first.get_attribute("href") or "")
    expect(page.locator("#prompt")).to_have_value("a ferry at night")
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('words for'))") == []


def test_many_cards_that_change_at_once_stop_nobody(
    studio: RunningStudio, browser: Browser, page: Page, tmp_path: Path
) -> None:
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    sign_up(page, studio.url, "uwe")
    page.fill("#prompt", "a street")
    page.click("#generate")
    page.wait_for_selector(f"{DONE} img")
    page.route_web_socket("**/ws/studio", pass_on)
    page.reload()
    page.wait_for_selector("#live[data-live=live]")
    html = page.evaluate(COPY, MANY)
    event = page.get_attribute(".card", "data-event")

    trace = tmp_path / "trace.json"
    browser.start_tracing(page=page, path=trace, categories=["toplevel", "devtools.timeline"])
    page.evaluate(HOLD)
    for number in range(1000, 1000 + MANY):
        frame = html.replace("prediction-1", f"prediction-{number}")
        sockets[-1].send(frame.replace("<article", '<article hx-swap-oob="true"'))
    wait_until(page, f"arrived >= {MANY}", seconds=120)
    page.evaluate("window.requestAnimationFrame = paint; paint(held)")
    wait_until(page, f"document.querySelectorAll('{DONE}[data-event=\"{event}\"]').length === {MANY + 1}", seconds=120)
    browser.stop_tracing()

    longest = longest_task(json.loads(trace.read_text())["traceEvents"])
    assert 0 < longest < 100, f"a task of {longest:.0f} ms"


def longest_task(events: list[dict[str, Any]]) -> float:
    """Of the page's main thread, in milliseconds of its own time: what others take of the machine is not counted."""
    names = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    main = {thread for thread, name in names.items() if name == "CrRendererMain"}
    tasks = [one for one in events if one["name"].endswith("RunTask") and (one["pid"], one["tid"]) in main]
    return max((one.get("tdur", 0) / 1000 for one in tasks), default=0.0)


def test_a_switch_is_read_before_anybody_asks_and_lifts_by_itself(studio: RunningStudio, page: Page) -> None:
    sign_up(page, studio.url, "pat")
    throw = "from generation.models import Pause; from django.utils import timezone; Pause.objects.create"
    studio.manage("shell", "-c", f"{throw}(target='everything', reason='We move the store.', paused_at=timezone.now())")
    page.fill("#prompt", "a lake at dusk")
    page.locator("#prompt").blur()

    expect(page.locator("#generate-why")).to_have_text("We move the store.")
    expect(page.locator("#generate")).to_contain_text("Paused")

    studio.manage("shell", "-c", "from generation.models import Pause; Pause.objects.all().delete()")
    expect(page.locator("#generate-why")).to_have_count(0, timeout=60_000)
