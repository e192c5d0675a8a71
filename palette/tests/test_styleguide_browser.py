"""The styleguide in Chromium: photographed in both themes, complained of in neither."""

from itertools import count
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageStat
from playwright.sync_api import expect

from accounts.tests.overseeing import make_administrator
from generation.tests.browsing import Complaints, chromium_beside_rows
from palette.styleguide.cards import Maker, every_state

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
THEMES = ("dark", "light")
# What nobody has scrolled to has not been fetched yet.
FETCH_ALL = "Promise.allSettled([...document.images].map((img) => ((img.loading = 'eager'), img.decode())))"
BROKEN = "[...document.images].filter((img) => !img.naturalWidth).map((img) => img.src)"
GROUND = "(section) => getComputedStyle(section).backgroundColor"


def test_shows_every_state_in_both_themes(live_server: object, tmp_path: Path) -> None:
    client, complaints, url = Client(), Complaints(), str(live_server)
    client.force_login(make_administrator())
    name = settings.SESSION_COOKIE_NAME
    states = [state for state, _ in every_state(Maker(timezone.now(), count(1)))]
    with chromium_beside_rows() as browser:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        complaints.listen_to(page)
        page.set_default_navigation_timeout(120_000)  # a long page, on a machine that does much else
        for theme in THEMES:
            cookies = {name: client.cookies[name].value, "theme": theme}
            page.context.add_cookies([{"name": key, "value": value, "url": url} for key, value in cookies.items()])
            page.goto(f"{url}/styleguide")
            page.evaluate(FETCH_ALL)
            page.screenshot(path=tmp_path / f"{theme}.png", full_page=True)

            for shown in THEMES:
                cards = page.locator(f"section[data-theme={shown}]")
                expect(cards.locator(".specimen > .kicker")).to_have_text(states)
            assert page.evaluate(BROKEN) == []
        dark, light = (page.locator(f"section[data-theme={shown}]").evaluate(GROUND) for shown in THEMES)

    assert complaints.heard == []
    assert dark != light
    margins = [Image.open(tmp_path / f"{theme}.png").convert("L").crop((4, 880, 20, 900)) for theme in THEMES]
    assert ImageStat.Stat(margins[0]).mean[0] < 40 and ImageStat.Stat(margins[1]).mean[0] > 215
