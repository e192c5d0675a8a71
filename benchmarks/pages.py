"""B8: how long a signed-in page with fifty cards takes to begin, and how much a browser fetches for it.

A: a GET of the studio, or of the gallery, until the head of the answer is there. B: a static file of the page's size
from the same server, by WhiteNoise. Both over one connection that stays open. The product runs as in production, where
static files are collected; of the proxy that ends TLS only its header is there.
"""

import gzip
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from benchmarks.place import Place
from benchmarks.processes import ROOT
from benchmarks.product import BY_PROXY, UNLIMITED, Product, in_production, running_product
from benchmarks.rows import Row, interleaved, row
from generation.tests.browsing import browser_path

CARDS = 50
# A browser takes this machine for safe under that name, and keeps the cookies of a site with TLS.
HOST = "localhost"
PAGES = {"studio": "/", "gallery": "/gallery/"}
RATIO_GOAL, MS_GOAL = 4.0, 25.0
# In kB.
HTML_GOAL, GZIPPED_GOAL, JS_GOAL, CSS_GOAL, FIRST_VIEW_GOAL = 60, 15, 60, 25, 400
REQUESTS_GOAL = 20
FOLDER = ROOT / "staticfiles" / "benchmark"
SIZES = range(10_000, 200_001, 2_500)
GIVE_UP_SECONDS = 120.0
BELOW = "() => [...document.images].filter(i => i.getBoundingClientRect().top >= innerHeight).map(i => i.currentSrc)"
WINDOW: Any = {"width": 1440, "height": 900}
TEXT = ("text/", "application/javascript", "image/svg")


def measure(place: Place) -> Iterator[Row]:
    """Time and weight of each page."""
    rounds = place.rounds(full=200, quick=40)
    variables = UNLIMITED | in_production(place, f"https://{HOST}")
    with static_files(), running_product(place, "pages", variables) as product:
        with httpx.Client(base_url=product.url, headers=BY_PROXY, timeout=GIVE_UP_SECONDS) as client:
            fill(product, client)
            for name, path in PAGES.items():
                yield from times(place, client, product, name, path, rounds)
        for name, path in PAGES.items():
            yield from weights(place, product, name, path)


@contextmanager
def static_files() -> Iterator[None]:
    """A file of about each size, for WhiteNoise to find when the server starts."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        for size in SIZES:
            (FOLDER / f"{size}.html").write_bytes(b"x" * size)
        yield
    finally:
        shutil.rmtree(FOLDER)


def fill(product: Product, client: httpx.Client) -> None:
    """Fifty pictures, all of them finished, with their thumbnails."""
    for number in range(CARDS):
        client.post(
            "/api/generation/image", headers=product.person.bearer, json={"prompt": f"a lighthouse at night, {number}"}
        ).raise_for_status()
    until = time.monotonic() + GIVE_UP_SECONDS
    while made(client, product) < CARDS:
        if time.monotonic() > until:
            raise TimeoutError("the pictures are not made")
        time.sleep(0.5)


def made(client: httpx.Client, product: Product) -> int:
    """How many pictures have their thumbnail."""
    answer = client.get(f"/api/gallery/assets?page_size={CARDS}", headers=product.person.bearer).raise_for_status()
    return sum(bool(asset.get("thumbnailUrl")) for asset in answer.json()["results"])


def times(place: Place, client: httpx.Client, product: Product, name: str, path: str, rounds: int) -> Iterator[Row]:
    """To the head of the answer: of a static file's, and by itself."""
    page = client.get(path, headers=product.person.cookie).raise_for_status().content
    size = min(SIZES, key=lambda size: abs(size - len(page)))
    first = partial(to_head, client)
    pairs = interleaved(
        ours=lambda: first(path, product.person.cookie),
        bare=lambda: first(f"/static/benchmark/{size}.html", {}),
        rounds=rounds,
        warm_up=10,
    )
    bare = statistics.median(pairs.bare) * 1000
    yield row(
        "B8",
        f"{name}, {CARDS} pictures: first byte to a static file's",
        place.where,
        pairs.ratios,
        unit="1",
        goal=RATIO_GOAL,
        reference=(f"{size} bytes by WhiteNoise, ms", bare),
        same=pairs.same,
    )
    yield row(
        "B8",
        f"{name}: first byte",
        place.where,
        [seconds * 1000 for seconds in pairs.ours],
        unit="ms",
        goal=MS_GOAL,
        reference=("static file", bare),
        same=pairs.same,
    )
    sizes = {"html": (len(page), HTML_GOAL), "html, gzipped": (len(gzip.compress(page)), GZIPPED_GOAL)}
    for what, (found, goal) in sizes.items():
        yield weight(place, f"{name}: {what}", found, goal)


def to_head(client: httpx.Client, path: str, headers: dict[str, str]) -> float:
    """Seconds until the head of the answer is there; the rest is read, too."""
    began = time.perf_counter()
    with client.stream("GET", path, headers=headers) as answer:
        seconds = time.perf_counter() - began
        answer.raise_for_status().read()
    return seconds


def weights(place: Place, product: Product, name: str, path: str) -> Iterator[Row]:
    """What Chromium fetches until nothing more is under way, texts as a proxy would send them: gzipped."""
    fetched, below = first_view(product, path)
    kinds: dict[str, Callable[[str], bool]] = {
        "javascript": lambda kind: "javascript" in kind,
        "css": lambda kind: "css" in kind,
        "first view": lambda kind: True,
    }
    goals = {"javascript": JS_GOAL, "css": CSS_GOAL, "first view": FIRST_VIEW_GOAL}
    for what, fits in kinds.items():
        size = sum(size for _, kind, size in fetched if fits(kind))
        yield weight(place, f"{name}: {what}, gzipped", size, goals[what])
    yield row(
        "B8",
        f"{name}: requests above the fold",
        place.where,
        [sum(address not in below for address, _, _ in fetched)],
        unit="1",
        goal=REQUESTS_GOAL,
        reference=("all", len(fetched)),
    )


def weight(place: Place, name: str, size: int, goal: float) -> Row:
    """A row of kB."""
    return row("B8", name, place.where, [size / 1000], unit="kB", goal=goal, reference=("", None))


def first_view(product: Product, path: str) -> tuple[list[tuple[str, str, int]], set[str]]:
    """Address, content type and size of every answer that Chromium gets; addresses of pictures below the window."""
    from playwright.sync_api import Request, sync_playwright

    fetched: list[tuple[str, str, int]] = []

    def note(request: Request) -> None:
        answer = request.response()
        if answer is None:
            return
        kind = answer.headers.get("content-type", "")
        body = answer.body() if answer.status == 200 else b""
        size = len(gzip.compress(body) if re.match("|".join(TEXT), kind) else body)
        fetched.append((request.url, kind, size))

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        context = browser.new_context(viewport=WINDOW, bypass_csp=False, extra_http_headers=BY_PROXY)
        name, _, value = product.person.session.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": f"https://{HOST}", "secure": True}])
        page = context.new_page()
        page.on("requestfinished", note)
        address = product.url.replace("127.0.0.1", HOST) + path
        page.goto(address, wait_until="load")
        assert page.url == address, page.url
        page.wait_for_timeout(1500)
        below = set(page.evaluate(BELOW))
        browser.close()
    return fetched, below
