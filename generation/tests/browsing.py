"""Headless Chromium on the running product, with a note of everything that it complains about."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

# The first has no windows at all, and takes a quarter less processor time for the same pages.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "a long walk at 7"
expect.set_options(timeout=30_000)
# Tells of what the Content-Security-Policy has stopped, also where the console would not.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} stopped ${event.blockedURI}`));
"""
# What the first card says, each time that it says something else.
NOTE_WORDS = """
() => {
  window.said = [];
  const note = () => {
    const words = document.querySelector(".card .status__line strong")?.textContent;
    if (words && said.at(-1) !== words) said.push(words);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
}
"""
# How far the page has moved under whoever looks at it, other than in answer to a press; for scripts of the start.
NOTE_SHIFTS = """
window.moved = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.moved += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def browser_path() -> str | None:
    """Where the first of them is."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser; without one the test is skipped, or fails with CI=true."""
    path = browser_path()
    if path is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("there is no Chromium on this machine")
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


@contextmanager
def chromium_beside_rows() -> Iterator[Browser]:
    """For tests that use the database: Playwright's loop runs in their thread, and Django takes it for its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with chromium() as browser:
            yield browser


class Complaints:
    """What the console, the scripts and the policy had to say against a page."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def listen_to(self, page: Page) -> None:
        """From its next address on."""
        page.add_init_script(REPORT_VIOLATIONS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.heard.append(f"{page.url}: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.heard.append(f"{message.location.get('url', '')}: {message.text}")


def count_navigations(page: Page) -> list[str]:
    """Grows with every address that the page's main frame goes to, from now on."""
    gone: list[str] = []
    page.on("framenavigated", lambda frame: gone.append(frame.url) if frame == page.main_frame else None)
    return gone


def sign_up(page: Page, url: str, name: str) -> None:
    """Make an account by the form, which leads to the studio."""
    page.goto(f"{url}/accounts/signup/")
    page.fill("[name=username]", name)
    page.fill("[name=email]", f"{name}@example.org")
    page.fill("[name=password1]", PASSWORD)
    page.fill("[name=password2]", PASSWORD)
    page.click("form[action*=signup] [type=submit]")
    page.wait_for_url(f"{url}/")


def wait_until(page: Page, expression: str, *, seconds: float = 30.0) -> None:
    """Until `expression` holds in the page. Playwright's own way evaluates strings there, which the policy forbids."""
    ends_at = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < ends_at, f"waited {seconds:g} s in vain for {expression}"
        page.wait_for_timeout(50)


def play(page: Page) -> float:
    """Play the page's film for a moment, then jump to near its end; its length in seconds."""
    page.evaluate("window.film = document.querySelector('video'), film.muted = true, film.play()")
    wait_until(page, "film.currentTime > 0.2")
    page.evaluate("film.pause(), film.currentTime = film.duration - 0.5")
    wait_until(page, "!film.seeking && film.readyState >= 2 && film.currentTime > film.duration - 1")
    return float(page.evaluate("film.duration"))
