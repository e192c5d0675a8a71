"""The gallery from end to end in Chromium: bring pictures, tag, find, save, put aside, take back, share, revoke."""

import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from gallery.models import Asset
from gallery.tests import samples
from gallery.tests.making import NOW, make_asset
from generation.tests.browsing import Complaints, chromium

pytestmark = [pytest.mark.browser, pytest.mark.services, pytest.mark.django_db(transaction=True)]
BROUGHT = [f"shore-{number}.png" for number in range(3)]
DROP = """
(files) => {
  const carried = new DataTransfer();
  for (const [name, bytes] of files) carried.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/png" }));
  for (const type of ["dragover", "drop"]) {
    document.querySelector("#main").dispatchEvent(
      new DragEvent(type, { dataTransfer: carried, bubbles: true, cancelable: true }));
  }
}
"""


class Hand:
    """How somebody acts on a page: with a mouse, with keys alone, or with a finger on a phone."""

    def __init__(self, page: Page, way: str) -> None:
        self.page, self.way = page, way

    def press(self, what: str | Locator) -> None:
        """A link, a button or a menu."""
        found = (self.page.locator(what) if isinstance(what, str) else what).locator("visible=true").first
        if self.way == "keyboard":
            found.press("Enter")
        elif self.way == "phone":
            found.tap()
        else:
            found.click()

    def pick(self, count: int) -> None:
        """The first so many frames."""
        expect(self.page.locator(".pick input").nth(count - 1)).to_be_visible()
        for box in self.page.locator(".pick input").all()[:count]:
            if self.way == "keyboard":
                box.press(" ")
            else:
                box.check()
        expect(self.page.locator(".pick input:checked")).to_have_count(count)

    def bring(self, files: list[tuple[str, bytes]]) -> None:
        """By dropping them on the page, or by the form."""
        if self.way == "mouse":
            self.page.evaluate(DROP, [[name, list(content)] for name, content in files])
            return
        self.press("#upload summary")
        given: Any = [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
        self.page.set_input_files("#upload-file", given)
        self.press("#upload button[type=submit]")


@pytest.fixture(params=["mouse", "keyboard", "phone"])
def hand(
    owner: User, live_server: object, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hand, Complaints, str]]:
    """Signed in, on a gallery of nine frames."""
    # Playwright's loop runs in this thread, and Django takes it for its own.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    for number in range(9):
        made = make_asset(owner=owner, frame_number=number + 1, now=NOW + timedelta(minutes=number))
        Asset.objects.filter(pk=made.pk).update(thumbnail_key=made.storage_key)
    client = Client()
    client.force_login(owner)
    url, complaints, name = str(live_server), Complaints(), settings.SESSION_COOKIE_NAME
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with chromium() as browser:
        context = browser.new_context(**(phone if request.param == "phone" else {}))
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
        page = context.new_page()
        complaints.listen_to(page)
        yield Hand(page, str(request.param)), complaints, url


def test_pictures_are_brought_found_saved_put_aside_and_shared(hand: tuple[Hand, Complaints, str]) -> None:
    creator, complaints, url = hand
    page, frames = creator.page, creator.page.locator(".frame")
    page.goto(f"{url}/gallery/")
    creator.bring([*((name, samples.picture()) for name in BROUGHT), ("notes.png", b"no picture")])
    expect(frames).to_have_count(12)
    expect(page.locator("#uploads li")).to_have_count(1)
    expect(page.locator("#uploads li")).to_contain_text("notes.png")
    expect(page.locator("#uploads-said")).to_have_text("3 of 4 uploaded. 1 could not be uploaded.")
    creator.press("#uploads button")
    expect(page.locator("#uploads")).to_be_hidden()

    creator.press("text=Select")
    creator.pick(3)
    creator.press("#bulk summary:has-text('Tag')")
    page.fill("#bulk-tags", "harbour")
    page.press("#bulk-tags", "Enter")
    expect(page.locator("[role=status]:has-text('Tagged 3 frames.')").first).to_be_visible()
    creator.press(".filters a:has-text('Done')")
    page.fill("[type=search]", "harbuor")
    page.press("[type=search]", "Enter")
    expect(page.locator("#typed")).to_contain_text("This is what has “harbour”.")
    expect(frames).to_have_count(3)
    creator.press(".chip:has-text('harbour')")

    expect(frames).to_have_count(12)
    creator.press("text=Select")
    creator.pick(10)
    with page.expect_download() as saving:
        creator.press("#bulk button:has-text('ZIP')")
    names = zipfile.ZipFile(saving.value.path()).namelist()
    assert len(names) == 20 and len([name for name in names if name.startswith("shore-")]) == 6
    creator.press("#bulk button:has-text('Trash')")
    expect(page.locator("#trashed")).to_contain_text("10 frames moved to trash.")
    expect(frames).to_have_count(2)
    creator.press("#trashed button")
    expect(frames).to_have_count(12)

    creator.press(page.locator(".frame .pic").first)
    creator.press("a:has-text('Share')")
    creator.press("text=Make link")
    address = page.locator(".secret code").inner_text()
    assert page.request.get(address).status == 200
    creator.press("text=Revoke")
    expect(page.locator("#links")).to_contain_text("Revoked")
    assert page.request.get(address).status == 404
    assert [heard for heard in complaints.heard if "422" not in heard] == []
