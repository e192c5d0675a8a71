"""Which pages are shown, to whom, and what is done on each before its picture is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page

from palette.tests.screenshots.cast import ADMINISTRATOR, CREATOR, NEWCOMER

NOBODY: Final = ""
Act = Callable[[Page], None]


@dataclass(frozen=True)
class Shown:
    """One page: the name of its picture, its address with names of things in braces, and who looks at it."""

    name: str
    path: str
    who: str = CREATOR
    act: Act | None = None
    status: int = 200


def select(page: Page) -> None:
    """Tick four frames."""
    for number in range(4):
        page.locator(".pick input").nth(number).check()


def open_shelf(page: Page) -> None:
    """Open the dialog with the tags of the first frame."""
    page.locator(".frame [popovertarget=shelve]").first.click()
    page.wait_for_selector("#shelve h2")


def choose_model(page: Page) -> None:
    """Unfold the model picker."""
    if page.locator(".composer__unfold").is_visible():
        page.locator(".composer__unfold").click()
    page.locator(".composer .model").first.click()


def let_it_load(page: Page) -> None:
    """The API's description comes by a script."""
    page.wait_for_selector(".opblock")


# The studio comes first: what runs there does not wait.
PAGES: Final = (
    Shown("studio", "/"),
    Shown("studio-models", "/?type=video", act=choose_model),
    Shown("sign-in", "/accounts/login/", NOBODY),
    Shown("sign-up", "/accounts/signup/", NOBODY),
    Shown("studio-empty", "/", NEWCOMER),
    Shown("history", "/history"),
    Shown("gallery", "/gallery/"),
    Shown("gallery-bulk", "/gallery/?select=1", act=select),
    Shown("gallery-shelf", "/gallery/", act=open_shelf),
    Shown("gallery-filtered", "/gallery/?q=lake&kind=image"),
    Shown("trash", "/gallery/?trash=1"),
    Shown("shelves", "/gallery/shelves/"),
    Shown("asset", "/gallery/{picture}/"),
    Shown("film", "/gallery/{film}/"),
    Shown("share-links", "/gallery/{picture}/share"),
    Shown("shared", "/s/{link}/", NOBODY),
    Shown("usage", "/usage/"),
    Shown("settings", "/settings/"),
    Shown("security", "/settings/security/"),
    Shown("webhooks", "/settings/webhooks/"),
    Shown("webhook", "/settings/webhooks/{webhook}/"),
    Shown("api", "/api/docs", act=let_it_load),
    Shown("error", "/nowhere", status=404),
    Shown("spend", "/admin/accounts/dailyspend/", ADMINISTRATOR),
    Shown("health", "/admin/health/", ADMINISTRATOR),
    Shown("predictions", "/admin/generation/prediction/", ADMINISTRATOR),
    Shown("styleguide", "/styleguide", ADMINISTRATOR),
)
