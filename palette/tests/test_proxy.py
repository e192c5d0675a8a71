"""nginx as docs/operations.md has it, and as the rehearsal does, writes down no address that opens something."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests
from django.urls import reverse

from generation.tests.running_studio import wait_for
from generation.webhooks.reach import PATH
from palette.tests.ports import free_port
from palette.tests.test_draining import listens
from palette.tests.walk import page

TOKEN: Final = "Zk3-x_0123456789abcdefghijklmnop"
REHEARSED: Final = page.ROOT / "generation" / "tests" / "rehearsal" / "nginx.conf"
AROUND: Final = """
daemon off; master_process off; pid nginx.pid;
events {{}}
http {{
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    {site}
}}
"""


def of_the_page() -> str:
    """With addresses of ours, on a product that does not answer."""
    site = page.blocks()["proxy"].replace("127.0.0.1:8000", "127.0.0.1:@PAGES@").replace("/var/log/nginx/", "")
    return AROUND.format(site=site.replace(f"server_name {page.HOST};", "listen 127.0.0.1:@PORT@;"))


CONFIGURATIONS: Final = {"of-the-page": of_the_page, "of-the-rehearsal": REHEARSED.read_text}


@pytest.fixture(params=CONFIGURATIONS)
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Its address; behind it nobody listens."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("nginx is not installed")
        pytest.skip("nginx is not installed")
    port = free_port()
    text = CONFIGURATIONS[request.param]()
    for name, value in {"PORT": port, "PAGES": free_port(), "SOCKETS": free_port()}.items():
        text = text.replace(f"@{name}@", str(value))
    (tmp_path / "nginx.conf").write_text(text)
    with (tmp_path / "errors.log").open("w") as log:
        process = subprocess.Popen([program, "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"], stderr=log)
    wait_for(lambda: listens(f"127.0.0.1:{port}"), seconds=30)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


def test_tells_of_a_failure_and_not_what_was_asked(proxy: str, tmp_path: Path) -> None:
    secret = (
        *(reverse("account_invitation", args=[TOKEN]), f"/s/{TOKEN}/download", f"{PATH}?attempt=1&token={TOKEN}"),
        reverse("account_reset_password_from_key", args=["1", TOKEN]),
        reverse("account_confirm_email", args=[TOKEN]),
    )

    statuses = {requests.get(proxy + address, timeout=30).status_code for address in ("/gallery/", *secret)}

    told = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert statuses == {502}
    assert "connect() failed" in told
    assert told.count("/gallery/") > 1
    assert TOKEN not in told
