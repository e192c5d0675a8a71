"""Sharing driven in Chromium: made and copied by the owner, opened by a stranger's browser, revoked, gone."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, expect

from accounts.models import User
from gallery.models import Asset
from gallery.tests.making import make_asset
from generation.tests.browsing import Complaints, chromium_beside_rows

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with chromium_beside_rows() as running:
        yield running


@pytest.fixture
def browser(running: Browser) -> Iterator[Browser]:
    """Without the pages of the test before."""
    yield running
    for context in running.contexts:
        context.close()


class TestSharing:
    @pytest.mark.parametrize("scripted", [True, False], ids=["with script", "without"])
    def test_shows_a_stranger_until_it_is_revoked(
        self, owner: User, live_server: object, browser: Browser, scripted: bool
    ) -> None:
        asset = make_asset(owner=owner)
        Asset.objects.filter(pk=asset.pk).update(thumbnail_key=asset.storage_key)
        client, url, complaints = Client(), str(live_server), Complaints()
        client.force_login(owner)
        name = settings.SESSION_COOKIE_NAME
        owners = browser.new_context(java_script_enabled=scripted)
        owners.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
        managing, visiting = owners.new_page(), browser.new_context(java_script_enabled=scripted).new_page()
        complaints.listen_to(managing)
        complaints.listen_to(visiting)

        managing.goto(f"{url}/gallery/{asset.pk}/")
        managing.click("a:has-text('Share')")
        managing.fill("[name=password]", "blue hour")
        managing.click("text=Make link")
        address = managing.locator(".secret code").inner_text()
        visiting.goto(address)
        visiting.fill("[name=password]", "blue hour")
        visiting.press("[name=password]", "Enter")
        expect(visiting.locator("#plate img")).to_be_visible()
        assert visiting.url == address
        with visiting.expect_download() as saving:
            visiting.click("text=Download")
        assert saving.value.suggested_filename == "frame-461.png"

        managing.click("text=Revoke")
        expect(managing.locator("#links")).to_contain_text("Revoked")
        assert complaints.heard == []
        visiting.reload()
        expect(visiting.locator("h1")).to_have_text("Nothing is shown here")

    def test_saves_what_is_selected_as_a_zip(self, owner: User, live_server: object, browser: Browser) -> None:
        asset = make_asset(owner=owner)
        client, url = Client(), str(live_server)
        client.force_login(owner)
        name = settings.SESSION_COOKIE_NAME
        context = browser.new_context()
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
        page, complaints = context.new_page(), Complaints()
        complaints.listen_to(page)

        page.goto(f"{url}/gallery/?select=1")
        page.check(f"[value='{asset.pk}']")
        with page.expect_download() as saving:
            page.click("#bulk button:has-text('ZIP')")

        assert saving.value.suggested_filename.startswith("frames-")
        expect(page.locator(".pick input:checked")).to_have_count(1)
        assert complaints.heard == []
