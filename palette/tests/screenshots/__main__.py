"""Starts the product with a story in it and photographs every page: `make screenshots [PAGES="studio gallery"]`."""

import argparse
import io
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from generation.tests.browsing import Complaints, chromium
from generation.tests.running_studio import ROOT, RunningStudio
from palette.tests.screenshots.cast import PASSWORD, RULES
from palette.tests.screenshots.pages import NOBODY, PAGES, Shown

FOLDER: Final = ROOT / "docs" / "screenshots"
WIDTHS: Final = {390: 844, 820: 1180, 1440: 1000}
Theme: TypeAlias = Literal["dark", "light"]
THEMES: Final[tuple[Theme, Theme]] = ("dark", "light")
QUALITY: Final = 72
# Until the pictures that are seen are there, and the first of a film, but not for ever. Those below the window wait to
# be scrolled to, hidden ones for good.
DRAWN: Final = """Promise.race([
  new Promise((done) => setTimeout(done, 30_000)),
  Promise.allSettled([...[...document.images]
    .filter((img) => img.checkVisibility() && img.getBoundingClientRect().top < innerHeight)
    .map((img) => img.decode()),
  ...[...document.querySelectorAll("video")]
    .filter((film) => film.preload !== "none" && film.readyState < 2)
    .map((film) => new Promise((done) => film.addEventListener("loadeddata", done)))])]).then(() => null)"""
PATIENCE_MS: Final = 180_000


def main() -> None:
    """Write one WebP for each page, width and theme."""
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", help="of the pages; all, when left out")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--tallest", type=int, default=1500, help="pixels; what is longer is cut off (%(default)s)")
    given = parser.parse_args()
    pages = [page for page in PAGES if not given.names or page.name in given.names]
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, told(Path(folder)) as (studio, things), chromium() as browser:
        camera = Camera(browser, studio.url, given.folder, given.tallest)
        for theme in THEMES:
            for page in pages:
                camera.shoot(page, page.path.format(**things), theme)
    print(f"{camera.taken} pictures in {given.folder}, {camera.size_bytes / 1e6:.1f} MB")
    for complaint in camera.complaints.heard:
        print(f"complaint: {complaint}")


@contextmanager
def told(folder: Path) -> Iterator[tuple[RunningStudio, dict[str, str]]]:
    """The running product with the story in it, and the names that its addresses need."""
    with RunningStudio(folder, MAX_IN_FLIGHT_PER_USER="4", DAILY_COUNT="500") as studio:
        post(f"http://127.0.0.1:{studio.sandbox_port}/sandbox/faults", RULES)
        studio.manage("demo_data")
        said = studio.manage("shell", "--no-imports", "-c", "from palette.tests.screenshots import story; story.tell()")
        yield studio, dict(line.split() for line in said.splitlines())


def post(url: str, body: Any) -> None:
    """Send JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


class Camera:
    """One context of the browser for each person and theme; they stay signed in."""

    def __init__(self, browser: Browser, url: str, folder: Path, tallest: int) -> None:
        self.browser, self.url, self.folder, self.tallest = browser, url, folder, tallest
        self.complaints = Complaints()
        self.taken = self.size_bytes = 0
        self._contexts: dict[tuple[str, Theme], BrowserContext] = {}

    def shoot(self, shown: Shown, path: str, theme: Theme) -> None:
        """At every width."""
        for width, height in WIDTHS.items():
            page = self._context(shown.who, theme).new_page()
            if shown.status == 200:  # of others the console complains
                self.complaints.listen_to(page)
            page.set_viewport_size({"width": width, "height": height})
            answer = page.goto(self.url + path, wait_until="load")
            assert answer is not None and answer.status == shown.status, (path, answer and answer.status)
            if shown.act:
                shown.act(page)
            else:
                self._grow(page, width)
            page.evaluate(DRAWN)
            # The player's ring goes on for a moment after the film is there.
            page.wait_for_timeout(4000 if page.locator("video").count() else 700)
            self._keep(page.screenshot(), f"{shown.name}-{width}-{theme}.webp")
            page.close()

    def _grow(self, page: Page, width: int) -> None:
        """To the whole of a page that is longer than the window, but not for ever."""
        whole = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(600, min(whole, self.tallest))})

    def _keep(self, png: bytes, name: str) -> None:
        file = self.folder / name
        Image.open(io.BytesIO(png)).convert("RGB").save(file, quality=QUALITY, method=6)
        self.taken += 1
        self.size_bytes += file.stat().st_size

    def _context(self, who: str, theme: Theme) -> BrowserContext:
        if (who, theme) not in self._contexts:
            agent = f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{self.browser.version} Safari/537.36"
            context = self.browser.new_context(color_scheme=theme, reduced_motion="reduce", user_agent=agent)
            context.set_default_timeout(PATIENCE_MS)
            context.add_cookies([{"name": "theme", "value": theme, "url": self.url}])
            if who != NOBODY:
                self._sign_in(context, who)
            self._contexts[who, theme] = context
        return self._contexts[who, theme]

    def _sign_in(self, context: BrowserContext, who: str) -> None:
        page = context.new_page()
        page.goto(f"{self.url}/accounts/login/")
        page.fill("[name=login]", who)
        page.fill("[name=password]", PASSWORD)
        page.click("form[action*=login] [type=submit]")
        page.wait_for_url(f"{self.url}/")
        page.close()


if __name__ == "__main__":
    main()
