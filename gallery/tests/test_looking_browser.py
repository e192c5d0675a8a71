"""Pictures and films looked at closely in Chromium: come near, two side by side, a film gone through in the sheet."""

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import User
from gallery.models import Asset
from gallery.tests import samples
from gallery.tests.making import NOW, make_asset, make_film
from generation.tests.browsing import NOTE_SHIFTS, Complaints, chromium_beside_rows, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def scales(page: Page) -> list[float]:
    """How large each picture is shown, from its matrix."""
    found: list[float] = page.evaluate(
        "[...document.querySelectorAll('[data-zoom] img')].map((one) =>"
        " new DOMMatrix(getComputedStyle(one).transform).a)"
    )
    return [round(scale, 2) for scale in found]


def settled(page: Page, *wanted: float) -> None:
    """Until all are as large as that."""
    for _ in range(100):
        if scales(page) == list(wanted):
            return
        page.wait_for_timeout(50)
    assert scales(page) == list(wanted)


def pinch(page: Page, x: float, y: float) -> None:
    """Two fingers from 40 pixels apart to 120."""
    session = page.context.new_cdp_session(page)
    for kind, apart in [("touchStart", 20), *(("touchMove", 20 + 10 * step) for step in range(1, 5))]:
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_picture_comes_closer_and_two_do_so_together(owner: User, live_server: object) -> None:
    made = [
        make_asset(
            owner=owner, content=samples.picture(size=(640, 360)), frame_number=number, now=NOW.replace(day=number)
        )
        for number in (1, 2)
    ]
    for asset in made:
        Asset.objects.filter(pk=asset.pk).update(thumbnail_key=asset.storage_key)
    client, complaints, url = Client(), Complaints(), str(live_server)
    client.force_login(owner)
    name = settings.SESSION_COOKIE_NAME
    with chromium_beside_rows() as browser:
        context = browser.new_context(has_touch=True, reduced_motion="reduce")
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
        page = context.new_page()
        page.add_init_script(NOTE_SHIFTS)
        complaints.listen_to(page)
        page.goto(f"{url}/gallery/{made[1].pk}/")
        box = page.locator("[data-zoom]").bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

        page.keyboard.press("+")
        settled(page, 1.4)
        page.keyboard.press("0")
        page.mouse.move(x, y)
        page.mouse.wheel(0, -120)
        settled(page, 1.49)
        page.click("[aria-label='Whole picture']")
        settled(page, 1)
        page.mouse.dblclick(x, y)
        settled(page, 2.5)
        page.mouse.down()
        page.mouse.move(x + 200, y, steps=4)
        page.mouse.up()
        assert page.evaluate("document.querySelector('[data-zoom] img').style.transform").startswith("translate(-4")
        page.mouse.dblclick(x, y)
        settled(page, 1)
        pinch(page, x, y)
        settled(page, 3)
        assert page.evaluate("[window.moved, visualViewport.scale]") == [0, 1]

        page.keyboard.press("ArrowLeft")
        expect(page.locator("h1")).to_have_text("Frame 1")
        page.goto(f"{url}/gallery/compare/?a={made[0].pk}&b={made[1].pk}")
        page.keyboard.press("+")
        settled(page, 1.4, 1.4)
        expect(page.locator("[data-zoom-said]")).to_have_text("140 %")
        assert page.evaluate("window.moved") == 0
    assert complaints.heard == []


def test_a_film_is_gone_through_by_mouse_and_by_finger(owner: User, live_server: object) -> None:
    film, picture = make_film(owner=owner), make_asset(owner=owner)
    Asset.objects.filter(pk=film.pk).update(thumbnail_key=picture.storage_key, preview_key=film.storage_key)
    client, complaints, url = Client(), Complaints(), str(live_server)
    client.force_login(owner)
    name = settings.SESSION_COOKIE_NAME
    with chromium_beside_rows() as browser:
        context = browser.new_context(has_touch=True)
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
        page = context.new_page()
        complaints.listen_to(page)
        page.goto(f"{url}/gallery/?kind=video")
        box = page.locator(".frame .pic").bounding_box()
        assert box
        x, y = box["x"], box["y"] + box["height"] / 2

        page.mouse.move(x + 4, y)
        page.mouse.move(x + box["width"] * 0.7, y)
        wait_until(page, "document.querySelector('.preview.is-playing')?.currentTime > 0.6")
        page.mouse.move(0, 0)
        expect(page.locator(".preview")).to_have_count(0)

        session = page.context.new_cdp_session(page)
        for kind, at in [("touchStart", 0.2), ("touchMove", 0.4), ("touchMove", 0.8)]:
            point = {"x": x + box["width"] * at, "y": y}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        wait_until(page, "document.querySelector('.preview.is-playing')?.currentTime > 0.7")
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator(".preview")).to_have_count(0)
        assert page.url.endswith("?kind=video")
    assert complaints.heard == []
