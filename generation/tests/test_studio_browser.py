"""The main job in a browser: from a prompt to a picture and a film, live, without scripts, and past a dead server."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from generation.tests.browsing import (
    NOTE_SHIFTS,
    NOTE_WORDS,
    Complaints,
    chromium,
    count_navigations,
    play,
    sign_up,
    wait_until,
)
from generation.tests.running_studio import RunningStudio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DONE = ".card[data-state=succeeded]"
LIVE, POLLING = "#live[data-live=live]", "#live[data-live=poll]"
MAKE_ADMINISTRATOR = """
from accounts.models import User
User.objects.filter(username="emmy").update(is_staff=True, is_superuser=True)
"""
PAGES = [
    *("/", "/?type=video", "/gallery/", "/gallery/?kind=video", "/usage/", "/settings/", "/accounts/password/change/"),
    *("/admin/", "/admin/generation/prediction/", "/admin/accounts/user/", "/admin/gallery/asset/"),
]
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Nothing may be complained of on any page of a test, unless the test takes it out."""
    complaints = Complaints()
    yield complaints
    assert complaints.heard == []


@pytest.fixture
def new_page(browser: Browser, complaints: Complaints) -> Iterator[NewPage]:
    contexts = []

    def open_page(beside: Page | None = None, *, scripts: bool = True) -> Page:
        if beside is None:
            contexts.append(browser.new_context(java_script_enabled=scripts, viewport={"width": 1280, "height": 900}))
        page = beside.context.new_page() if beside else contexts[-1].new_page()
        complaints.listen_to(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


def ask(page: Page, prompt: str) -> None:
    page.fill("#prompt", prompt)
    page.click("#generate")


@pytest.mark.services
def test_a_prompt_becomes_a_picture_and_the_picture_a_film_without_a_reload(studio: RunningStudio, page: Page) -> None:
    page.add_init_script(NOTE_SHIFTS)
    sign_up(page, studio.url, "ines")
    expect(page.locator(LIVE)).to_have_text("Live")
    navigations = count_navigations(page)
    page.evaluate(NOTE_WORDS)
    ask(page, "a lake at dusk")
    expect(page).to_have_title(re.compile(r"^\(1\) Studio"))
    page.wait_for_selector(DONE)

    said = page.evaluate("said")
    assert said[0] == "Your request is in queue…" and said[-1] == "Generation complete!"
    assert "Generating your content…" in said
    assert navigations == []
    expect(page).to_have_title(re.compile(r"^Studio"))
    page.wait_for_selector(f"{DONE} img")
    wait_until(page, "document.querySelector('.card img').naturalWidth > 0")
    assert page.evaluate("moved") == 0

    page.goto(f"{studio.url}/gallery/")
    page.click(".frame .pic")
    page.wait_for_selector("#plate img")
    wait_until(page, "document.querySelector('#plate img').naturalWidth > 0")
    page.click("text=Animate")
    navigations.clear()
    ask(page, "the water begins to move")
    page.wait_for_selector(f"#prediction-2{DONE}")
    assert navigations == []

    page.click("#prediction-2 >> text=Open")
    assert play(page) > 2


def test_the_same_without_scripts_by_reloading(studio: RunningStudio, new_page: NewPage) -> None:
    page = new_page(scripts=False)
    sign_up(page, studio.url, "otto")
    ask(page, "a harbour in fog")
    reload_until(page, f"#prediction-1{DONE}")
    page.click("#prediction-1 >> text=Open")
    page.fill("#details [name=tags]", "harbour, fog")
    page.click("#details [type=submit]")
    page.goto(f"{studio.url}/gallery/?tag=fog")
    page.click(".frame .pic")
    expect(page.locator("#details [name=tags]")).to_have_value(re.compile("harbour"))

    page.click("text=Animate")
    ask(page, "the fog lifts")
    reload_until(page, f"#prediction-2{DONE}")
    page.click("#prediction-2 >> text=Open")
    page.focus("#plate video")
    page.keyboard.press("Space")
    wait_until(page, "document.querySelector('video').currentTime > 0.2")

    page.click("text=Move to trash")
    expect(page.locator("#trashed")).to_contain_text("moved to trash")
    expect(page.locator(".frame")).to_have_count(1)
    page.goto(f"{studio.url}/gallery/?trash=1")
    page.click(".frame >> text=Restore")
    page.goto(f"{studio.url}/gallery/")
    expect(page.locator(".frame")).to_have_count(2)
    page.goto(f"{studio.url}/settings/")
    page.fill("#profile [name=name]", "Otto the Second")
    page.check("#profile [name=theme][value=light]", force=True)
    page.click("#profile form:last-of-type [type=submit]")
    expect(page.locator("#profile [name=name]")).to_have_value("Otto the Second")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def reload_until(page: Page, selector: str, seconds: float = 60.0) -> None:
    ends_at = time.monotonic() + seconds
    while not page.locator(selector).count():
        assert time.monotonic() < ends_at, page.content()
        time.sleep(0.3)
        page.reload()


def test_a_card_made_in_one_tab_appears_in_the_other(studio: RunningStudio, page: Page, new_page: NewPage) -> None:
    sign_up(page, studio.url, "mina")
    first_ever = new_page(page)
    first_ever.goto(studio.url)
    first_ever.wait_for_selector(LIVE)
    ask(page, "a lamp")
    first_ever.wait_for_selector(f"#prediction-1{DONE}")
    expect(first_ever.locator("#first-sheet")).to_have_count(0)

    navigations = count_navigations(first_ever)
    ask(page, "a second lamp")
    first_ever.wait_for_selector(f"#prediction-2{DONE}")
    page.wait_for_selector(f"#prediction-2{DONE}")

    for tab in (page, first_ever):
        cards = tab.locator(".card")
        expect(cards).to_have_count(2)
        assert [card.get_attribute("id") for card in cards.all()] == ["prediction-2", "prediction-1"]
    assert navigations == []


def test_a_page_without_a_socket_asks_and_never_goes_back_in_time(
    studio: RunningStudio, page: Page, new_page: NewPage
) -> None:
    sockets: list[WebSocketRoute] = []
    frames: list[str] = []

    def pass_on(socket: WebSocketRoute) -> None:
        def hear(message: str | bytes) -> None:
            frames.append(str(message))
            socket.send(message)

        socket.connect_to_server().on_message(hear)
        sockets.append(socket)

    sign_up(page, studio.url, "nils")
    polling = new_page(page)
    polling.route_web_socket("**/ws/studio", lambda socket: socket.close(code=1013))
    polling.goto(studio.url)
    page.route_web_socket("**/ws/studio", pass_on)
    page.reload()
    page.wait_for_selector(LIVE)

    ask(polling, "a bicycle")
    polling.wait_for_selector(DONE)
    expect(polling.locator(POLLING)).to_have_text("Polling")

    page.wait_for_selector(f"{DONE} img")
    page.wait_for_selector(f"{DONE}:not([hx-trigger])")
    newest = page.get_attribute(DONE, "data-event")
    before = (frame for frame in frames if "data-event=" in frame and f'data-event="{newest}"' not in frame)
    sockets[-1].send(next(before))
    page.wait_for_timeout(200)
    assert page.get_attribute(".card", "data-event") == newest
    expect(page.locator(".card")).to_have_count(1)


def test_an_answer_that_the_socket_overtakes_doubles_nothing(studio: RunningStudio, page: Page) -> None:
    def answer_late(route: Route) -> None:
        answer = route.fetch()
        time.sleep(1.5)  # the socket has told of the whole run by then
        route.fulfill(response=answer)

    sign_up(page, studio.url, "late")
    page.wait_for_selector(LIVE)
    page.route("**/generate", answer_late)

    for number in (1, 2):
        with page.expect_response("**/generate"):
            ask(page, "a clock")
        page.wait_for_selector(f"#prediction-{number}{DONE}")
        page.wait_for_selector("#generate:enabled")

    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".day")).to_have_count(1)
    expect(page.locator(DONE)).to_have_count(2)


def test_a_page_outlives_its_server(studio: RunningStudio, page: Page, complaints: Complaints) -> None:
    sign_up(page, studio.url, "vera")
    page.wait_for_selector(LIVE)
    navigations = count_navigations(page)
    ask(page, "a lighthouse in a storm")
    page.wait_for_selector(".card")

    studio.kill("web")
    expect(page.locator(POLLING)).to_have_text("Polling")
    studio.start_web()
    studio.wait_until_ready()

    page.wait_for_selector(DONE, timeout=15_000)
    page.wait_for_selector(LIVE, timeout=15_000)
    assert navigations == []
    complaints.heard = [heard for heard in complaints.heard if not is_about_the_line(heard)]


def test_a_page_is_patient_with_a_server_that_wants_no_socket(studio: RunningStudio, page: Page) -> None:
    tried: list[WebSocketRoute] = []

    def refuse(socket: WebSocketRoute) -> None:
        tried.append(socket)
        socket.close(code=4429)

    page.route_web_socket("**/ws/studio", refuse)
    page.set_viewport_size({"width": 390, "height": 844})
    page.add_init_script(NOTE_SHIFTS)

    sign_up(page, studio.url, "iris")
    expect(page.locator(POLLING)).to_be_visible()
    assert page.evaluate("moved") == 0
    ask(page, "a quiet harbour")

    page.wait_for_selector(DONE)
    expect(page.locator(POLLING)).to_have_text("Polling")
    page.wait_for_timeout(1_500)
    assert len(tried) == 1


def is_about_the_line(complaint: str) -> bool:
    """Chromium and htmx say that an address cannot be reached."""
    return any(word in complaint for word in ("ERR_", "WebSocket connection", "/django_htmx/"))


def test_no_page_breaks_its_own_policy(studio: RunningStudio, page: Page, complaints: Complaints) -> None:
    for path in ("/accounts/login/", "/accounts/password/reset/"):
        page.goto(studio.url + path)
    sign_up(page, studio.url, "emmy")
    studio.manage("shell", "-c", MAKE_ADMINISTRATOR)
    ask(page, "a door")
    page.wait_for_selector(DONE)
    for path in PAGES:
        answer = page.goto(studio.url + path)
        assert answer is not None and answer.status == 200, path
    for path in ("/nowhere", "/gallery/00000000-0000-7000-8000-000000000000/"):
        answer = page.goto(studio.url + path)
        assert answer is not None and answer.status == 404, path
    complaints.heard = [one for one in complaints.heard if "404 (Not Found)" not in one]
