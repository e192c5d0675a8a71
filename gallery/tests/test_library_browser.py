"""The library driven in Chromium, with script and without: search, select, tag, collect, trash, undo."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect

from accounts.models import User
from gallery.models import Asset, CollectionItem, Tagging
from gallery.tests.making import NOW, make_asset
from gallery.web import browsing
from generation.tests.browsing import NOTE_SHIFTS, Complaints, chromium_beside_rows

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[True, False], ids=["with script", "without"])
def scripted(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts."""
    return bool(request.param)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_beside_rows() as running:
        yield running


@pytest.fixture
def page(browser: Browser, owner: User, live_server: object, scripted: bool) -> Iterator[tuple[Page, Complaints, str]]:
    """The owner's gallery of a dozen frames in a browser that is signed in."""
    for number in range(12):
        prompt = "A still lake" if number % 2 else "Waves"
        made = make_asset(owner=owner, frame_number=number + 1, prompt=prompt, now=NOW + timedelta(minutes=number))
        Asset.objects.filter(pk=made.pk).update(thumbnail_key=made.storage_key)
    client = Client()
    client.force_login(owner)
    url, complaints = str(live_server), Complaints()
    context = browser.new_context(java_script_enabled=scripted)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
    shown = context.new_page()
    complaints.listen_to(shown)
    yield shown, complaints, url
    context.close()
    # What a form refuses is an answer of 422, which Chromium notes.
    assert [heard for heard in complaints.heard if "422" not in heard] == []


def select(page: Page, count: int) -> None:
    """The first so many frames."""
    for number in range(count):
        page.locator(".pick input").nth(number).check()


class TestLibrary:
    def test_is_searched_tagged_collected_and_put_aside(
        self, page: tuple[Page, Complaints, str], scripted: bool
    ) -> None:
        shown, complaints, url = page
        shown.goto(f"{url}/gallery/")
        shown.fill("[type=search]", "still la")
        shown.press("[type=search]", "Enter")
        expect(shown.locator(".frame")).to_have_count(6)
        shown.go_back()
        expect(shown.locator(".frame")).to_have_count(12)

        shown.click("text=Select")
        select(shown, 10)
        shown.click("#bulk summary:has-text('Tag')")
        shown.fill("#bulk-tags", "lake, blue hour")
        shown.press("#bulk-tags", "Enter")
        expect(shown.locator("[role=status]:has-text('Tagged 10 frames.')").first).to_be_visible()

        if not scripted:  # the page came anew
            select(shown, 10)
        expect(shown.locator(".pick input:checked")).to_have_count(10)
        shown.click("#bulk summary:has-text('Collect')")
        shown.fill("#bulk-collection", "Night ferry")
        shown.click("#bulk .menu[open] button:has-text('Add')")
        expect(shown.locator("[role=status]:has-text('Collected 10 frames.')").first).to_be_visible()
        assert Tagging.objects.count() == 20 and CollectionItem.objects.count() == 10

        shown.goto(f"{url}/gallery/?collection=Night+ferry&tag=lake&select=1")
        expect(shown.locator(".frame")).to_have_count(10)
        select(shown, 4)
        shown.click("#bulk button:has-text('Trash')")
        expect(shown.locator("#trashed")).to_contain_text("4 frames moved to trash.")
        expect(shown.locator(".frame")).to_have_count(6)
        shown.click("#trashed button")
        expect(shown.locator(".frame")).to_have_count(10)
        assert complaints.heard == []

    def test_moves_nothing_that_is_seen(self, page: tuple[Page, Complaints, str], owner: User, scripted: bool) -> None:
        if not scripted:
            pytest.skip("the browser tells it to scripts")
        shown, _, url = page
        copied = Asset.objects.filter(owner=owner).first()
        assert copied is not None
        shapes = [(1600, 900), (900, 1600), (1000, 1000), (1500, 1000), (2100, 900)]
        Asset.objects.bulk_create(
            Asset(
                **{field.attname: getattr(copied, field.attname) for field in Asset._meta.concrete_fields}
                | {"id": uuid4(), "storage_key": f"row-{number}", "prediction_id": uuid4(), "due_at": None}
                | dict(zip(("width", "height"), shapes[number % 5], strict=True)),
            )
            for number in range(40)
        )
        shown.add_init_script(NOTE_SHIFTS)
        shown.goto(f"{url}/gallery/")
        expect(shown.locator(".frame")).to_have_count(40)
        expect(shown.locator(".frame img").first).to_be_visible()

        while shown.locator(".frame").count() < 52:
            shown.mouse.wheel(0, 100)
            shown.wait_for_timeout(50)
        shown.mouse.wheel(0, 10_000)
        expect(shown.locator(".frame").last).to_be_in_viewport()

        assert shown.evaluate("moved") < 0.01

    def test_says_what_it_cannot_do_and_keeps_the_selection(self, page: tuple[Page, Complaints, str]) -> None:
        shown, _, url = page
        shown.goto(f"{url}/gallery/?select=1")
        select(shown, 3)

        shown.click("#bulk summary:has-text('Tag')")
        shown.click("#bulk .menu[open] button:has-text('Add')")

        expect(shown.locator(".bulk__error")).to_have_text("Write a tag first.")
        expect(shown.locator(".pick input:checked")).to_have_count(3)

    def test_takes_a_tag_on_one_card(self, page: tuple[Page, Complaints, str], scripted: bool) -> None:
        shown, _, url = page
        if not scripted:
            shown.goto(f"{url}/gallery/{Asset.objects.latest('created_at').pk}/")
            shown.fill("#shelve-collection", "Night ferry")
            shown.press("#shelve-collection", "Enter")
            expect(shown.locator(".chip:has-text('Night ferry')")).to_be_visible()
            return
        shown.goto(f"{url}/gallery/")
        shown.locator(".frame [popovertarget]").first.click()
        shown.fill("#shelve-tags", "lake")
        shown.press("#shelve-tags", "Enter")

        expect(shown.locator("#shelve .chip:has-text('lake')")).to_be_visible()
        shown.click("#shelve .chip:has-text('lake')")
        expect(shown.locator("#shelve .chip:has-text('lake')")).to_have_count(0)

    def test_stars_a_frame_and_puts_it_aside(self, page: tuple[Page, Complaints, str], scripted: bool) -> None:
        shown, _, url = page
        one = Asset.objects.order_by("created_at")[5]
        shown.goto(f"{url}/gallery/")
        frame, star = shown.locator(f"#asset-{one.pk}"), shown.locator(f"#star-{one.pk}")

        if not scripted:
            star.click()
            expect(star).to_have_attribute("aria-pressed", "true")
            assert Asset.objects.get(favourite=True) == one
            return
        frame.locator("a.pic").focus()
        shown.keyboard.press("f")
        expect(star).to_have_attribute("aria-pressed", "true")
        assert Asset.objects.get(favourite=True) == one
        frame.locator("a.pic").focus()
        shown.keyboard.press("Delete")

        expect(frame).to_have_count(0)
        assert Asset.objects.exclude(trashed_at=None).get() == one


class TestFurtherFrames:
    @pytest.mark.parametrize("scripted", [True])
    def test_come_once_though_they_are_asked_for_on_their_way(
        self, page: tuple[Page, Complaints, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(browsing, "FRAMES", 8)
        shown, _, url = page
        held: list[Route] = []
        shown.route(lambda address: "cursor=" in address, lambda route: held.append(route))
        with shown.expect_request(lambda request: "cursor=" in request.url):
            shown.goto(f"{url}/gallery/")

        shown.click("#older a")
        held[0].continue_()

        expect(shown.locator(".frame")).to_have_count(12)
        assert len(held) == 1
