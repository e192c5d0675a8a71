"""B8: the signed-in studio, full of pictures, in Lighthouse on its slow phone: four scores and the weight of a view.

The product runs as in production, behind nginx with a certificate. Needs nginx, openssl, a Chromium and a `lighthouse`
(`npm install --prefix SOMEWHERE lighthouse`, with its `node_modules/.bin` in PATH); without one of them it is left out.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.place import Place
from benchmarks.processes import CORES, Others, free_port, process
from benchmarks.product import BY_PROXY, UNLIMITED, Product, in_production, running_product
from benchmarks.rows import Row, row
from generation.tests.browsing import SWITCHES

CARDS: Final = 50
GOALS: Final = {"performance": 0.95, "accessibility": 1.0, "best-practices": 1.0, "seo": 1.0}
MOST_KB: Final = 400.0
GIVE_UP_SECONDS: Final = 600.0
TOOLS: Final = ("lighthouse", "nginx", "openssl", "chromium")
NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/nginx; proxy_temp_path {folder}/nginx;
    fastcgi_temp_path {folder}/nginx; uwsgi_temp_path {folder}/nginx; scgi_temp_path {folder}/nginx;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream studio {{ server {web}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{https} ssl http2; ssl_certificate {folder}/site.pem; ssl_certificate_key {folder}/site.key;
        location / {{
            proxy_pass http://studio; proxy_http_version 1.1;
            proxy_set_header Host $host:{https}; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""
PLAIN: Final[dict[str, Any]] = {"unit": "", "reference": ("-", None)}


def measure(place: Place) -> Iterator[Row]:
    """A page looks the same on every database, so on SQLite only."""
    if place.where != "sqlite" or not all(map(shutil.which, TOOLS)):
        return
    https = free_port()
    url = f"https://localhost:{https}"
    variables = UNLIMITED | in_production(place, url)
    with running_product(place, "lighthouse", variables, speed="fast") as product, proxy(product, https):
        fill(product)
        with browser(product, url) as port:
            others = Others()
            reports = [look(product, url, port) for _ in range(place.rounds(full=5, quick=1))]
            void = others.disturbed()
    for name, goal in GOALS.items():
        scores = [float(report["categories"][name]["score"]) for report in reports]
        # Only the first depends on who else is at work.
        reason = void if name == "performance" else ""
        yield row("B8", f"Lighthouse, {name}", place.where, scores, better="higher", goal=goal, void=reason, **PLAIN)
    weights = [report["audits"]["total-byte-weight"]["numericValue"] / 1000 for report in reports]
    yield row("B8", "first view", place.where, weights, goal=MOST_KB, **PLAIN | {"unit": "kB"})
    shifts = [report["audits"]["cumulative-layout-shift"]["numericValue"] for report in reports]
    yield row("B8", "layout shift", place.where, shifts, goal=0.0, **PLAIN)


@contextmanager
def proxy(product: Product, https: int) -> Iterator[None]:
    """Nginx as docs/operations.md has it, with a certificate of its own."""
    folder = product.folder
    key = ["-keyout", f"{folder}/site.key", "-out", f"{folder}/site.pem", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *key], check=True, capture_output=True)
    web = product.url.removeprefix("http://")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, https=https, web=web))
    with process(f"nginx -c {folder}/nginx.conf", product.environment, folder):
        yield


def fill(product: Product) -> None:
    """So many pictures, each with its smaller ones."""
    until = time.monotonic() + GIVE_UP_SECONDS
    bearer, cookie = product.person.bearer, product.person.cookie
    with httpx.Client(base_url=product.url, timeout=30, headers=BY_PROXY) as client:
        for number in range(CARDS):
            asked = {"prompt": f"a lighthouse in the rain, number {number}", "model": "black-forest-labs/flux-schnell"}
            client.post("/api/generation/image", headers=bearer, json=asked).raise_for_status()
        while 'hx-trigger="poll"' in client.get("/", headers=cookie).raise_for_status().text:
            if time.monotonic() > until:
                raise TimeoutError("the pictures do not come")
            time.sleep(1)


@contextmanager
def browser(product: Product, url: str) -> Iterator[int]:
    """A Chromium in which somebody is signed in; the port by which it is steered."""
    port = free_port()
    switches = [*SWITCHES, f"--remote-debugging-port={port}", "--ignore-certificate-errors"]
    os.sched_setaffinity(0, CORES)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            product.folder / "browser", executable_path=shutil.which("chromium"), args=switches
        )
        name, _, value = product.person.cookie["Cookie"].partition("=")
        context.add_cookies([{"name": name, "value": value, "url": url, "secure": True}])
        yield port
        context.close()


def look(product: Product, url: str, port: int) -> dict[str, Any]:
    """One report."""
    path = product.folder / "report.json"
    command = ["lighthouse", url, "--quiet", "--output=json", f"--output-path={path}", f"--port={port}"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    report: dict[str, Any] = json.loads(Path(path).read_text())
    return report
