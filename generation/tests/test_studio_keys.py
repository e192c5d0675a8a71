"""The keyboard on the running product: every shortcut, and a focus that outlives what is replaced under it."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from generation.tests.browsing import Complaints, chromium, sign_up
from generation.tests.running_studio import RunningStudio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DONE = ".card[data-state=succeeded]"
FOCUSED = "document.activeElement.id || document.activeElement.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def page(studio: RunningStudio) -> Iterator[Page]:
    """Signed in, with two pictures in the gallery."""
    complaints = Complaints()
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=studio.url)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        complaints.listen_to(page)
        sign_up(page, studio.url, "kaya")
        for number in (1, 2):
            page.fill("#prompt", f"a key, number {number}")
            page.keyboard.press("Control+Enter")
            page.wait_for_selector(f"#prediction-{number}{DONE}")
        yield page
    assert complaints.heard == []


class TestStudio:
    def test_generates_and_stays_in_the_prompt(self, page: Page) -> None:
        page.goto("/")
        page.keyboard.press("/")
        page.keyboard.press("Control+a")  # what was written before is still there
        page.keyboard.insert_text("a lock")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(f"#prediction-3{DONE}")

        assert page.evaluate(FOCUSED) == "prompt"
        expect(page.locator("#prompt")).to_have_value("a lock")

    def test_keeps_the_focus_where_something_was_pressed(self, page: Page) -> None:
        page.goto("/")
        page.click("#make-video")
        expect(page.locator("#make-video")).to_have_attribute("aria-current", "true")
        expect(page.locator("#make-video")).to_be_focused()
        page.click("#make-image")
        expect(page.locator("#make-image")).to_have_attribute("aria-current", "true")
        expect(page.locator("#make-image")).to_be_focused()

        page.fill("#prompt", "a bolt")
        page.click("#generate")
        page.wait_for_selector("#prediction-4")
        expect(page.locator("#generate")).to_be_focused()

    def test_keeps_the_focus_on_a_card_that_goes_on(self, studio: RunningStudio, page: Page) -> None:
        slowly = {"match": {"call": "create"}, "times": 1, "fault": {"seconds": {"run": 3}}}
        requests.post(f"{studio.environment['SANDBOX_URL']}/sandbox/faults", json=slowly, timeout=10).raise_for_status()
        page.goto("/")
        page.fill("#prompt", "a hinge")
        page.click("#generate")
        page.focus("#prediction-5 >> text=Cancel")
        page.wait_for_selector(f"#prediction-5{DONE}")

        expect(page.locator("#prediction-5 >> text=Open")).to_be_focused()

    def test_lists_the_keys(self, page: Page) -> None:
        page.goto("/")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


class TestGallery:
    def test_marks_and_puts_aside_the_frame_that_has_the_focus(self, page: Page) -> None:
        page.goto("/gallery/?kind=image")
        second = page.locator(".frame").nth(1)
        name = second.locator(".edge__no").inner_text()
        page.keyboard.press("f")
        second.locator(".pic").focus()
        page.keyboard.press("f")
        expect(second.locator("[name=favourite]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[name=favourite][aria-pressed=true]")).to_have_count(1)

        second.locator(".pic").focus()
        page.keyboard.press("Delete")
        expect(page.locator("#trashed")).to_contain_text(f"Frame {name} moved to trash.")
        page.click("#trashed >> text=Undo")
        page.wait_for_url("**/gallery/?kind=image")
        expect(page.locator(".frame").nth(1).locator(".edge__no")).to_have_text(name)

    def test_closes_a_menu(self, page: Page) -> None:
        page.goto("/gallery/")
        page.click("summary >> text=Category")
        page.keyboard.press("Escape")
        expect(page.locator("details[open]")).to_have_count(0)

        page.click("summary >> text=Category")
        page.click("h1")
        expect(page.locator("details[open]")).to_have_count(0)

    def test_walks_from_one_asset_to_the_next_and_puts_it_aside(self, page: Page) -> None:
        page.goto("/gallery/")
        page.locator(".frame .pic").first.click()
        newest = page.locator("h1").inner_text()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("h1")).not_to_have_text(newest)
        page.keyboard.press("ArrowRight")
        expect(page.locator("h1")).to_have_text(newest)

        page.keyboard.press("Delete")
        expect(page.locator("#trashed")).to_contain_text(f"{newest} moved to trash.")


class TestCopy:
    def test_takes_the_prompt(self, page: Page) -> None:
        page.goto("/gallery/")
        page.locator(".frame .pic").last.click()
        page.click("[data-action=copy]")

        expect(page.locator(".toast")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == "a key, number 1"

    def test_takes_a_new_token(self, page: Page) -> None:
        page.goto("/settings/")
        page.fill("form[action$='/tokens/'] [name=name]", "edit-bay")
        page.click("text=Make token")
        page.click("[data-action=copy]")

        expect(page.locator(".toast")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#token").inner_text()
