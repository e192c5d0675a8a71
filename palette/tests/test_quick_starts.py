"""The quick starts of docs/api.md, each run as it stands there, and a client that a public generator made."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.tokens import create_token
from generation.sandbox.running import RunningSandbox
from generation.tests.making import make_user
from generation.work.chores import read_webhook_secret
from generation.work.loop import run_until_quiet

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
DOCS = Path(__file__).resolve().parents[2] / "docs"
LONGEST_SECONDS = 100.0
# What the generator does not know by itself: these two are bytes.
CONFIG = """
post_hooks: []
content_type_overrides:
  application/zip: application/octet-stream
  "*/*": application/octet-stream
"""
COMMANDS = {"sh": ["bash", "-eu"], "python": [sys.executable], "js": ["node", "--input-type=module"]}


def quick_start(language: str) -> str:
    """The first block of this language below the heading."""
    text = (DOCS / "api.md").read_text().partition("\n## Quick start\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found, f"docs/api.md has no quick start in {language}"
    return found[1]


@pytest.fixture
def studio(settings: Settings, sandbox: RunningSandbox, live_server: LiveServer) -> dict[str, str]:
    """What a quick start is told: where, and with which token."""
    settings.WEBHOOK_ORIGIN = live_server.url
    read_webhook_secret(now=timezone.now())
    _, token = create_token(user=make_user(), name="quick", expires_at=None, now=timezone.now())
    return {"ORIGIN": live_server.url, "TOKEN": token}


def work_until_ended(process: subprocess.Popen[bytes]) -> None:
    """Be the worker while the program runs."""
    ends_at = timezone.now().timestamp() + LONGEST_SECONDS
    while process.poll() is None:
        assert timezone.now().timestamp() < ends_at, "the quick start did not end"
        run_until_quiet(30)
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue


class TestQuickStart:
    @pytest.mark.parametrize("language", COMMANDS)
    def test_makes_a_picture_and_brings_it_home(self, language: str, studio: dict[str, str], tmp_path: Path) -> None:
        if shutil.which(COMMANDS[language][0]) is None:
            pytest.skip(f"there is no {COMMANDS[language][0]} on this machine")
        home = tmp_path / "home"
        home.mkdir()
        (home / "program").write_text(quick_start(language))
        with (home / "program").open("rb") as program, (home / "said").open("wb") as said:
            process = subprocess.Popen(
                [*COMMANDS[language], *([] if language != "python" else ["-"])],
                stdin=program,
                stdout=said,
                stderr=said,
                cwd=home,
                env=os.environ | studio,
            )
            try:
                work_until_ended(process)
            finally:
                process.kill()

        assert process.returncode == 0, (home / "said").read_text()
        with Image.open(home / "lake.jpg") as picture:
            assert picture.format == "JPEG"


@pytest.fixture(scope="module")
def made_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a package that openapi-python-client has made of the kept document."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yml").write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    where = ["--path", str(DOCS / "openapi.json"), "--output-path", str(folder / "palette_client")]
    done = subprocess.run(
        [*command, *where, "--config", str(folder / "config.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield "palette_client"
    sys.path.remove(str(folder))


class TestMadeClient:
    def test_creates_waits_lists_and_downloads(self, made_client: str, studio: dict[str, str]) -> None:
        def call(name: str, **given: Any) -> Any:
            module = importlib.import_module(f"{made_client}.api.{name}")
            return module.sync_detailed(client=client, **given)

        package = importlib.import_module(made_client)
        models = importlib.import_module(f"{made_client}.models")
        # A file may lie at the store, where its address leads.
        client = package.AuthenticatedClient(base_url=studio["ORIGIN"], token=studio["TOKEN"], follow_redirects=True)

        asked = call("generation.create_image", body=models.ImageRequest(prompt="a lake at dusk"))
        assert run_until_quiet(30)
        prediction = call("predictions.get_prediction", id=asked.parsed.prediction_id).parsed
        listed = call("gallery.list_assets").parsed
        stored = call("gallery.download_asset", id=prediction.assets[0].id)
        refused = call("generation.create_image", body=models.ImageRequest(prompt=""))

        assert asked.status_code == 201
        assert prediction.status == "succeeded"
        assert [asset.id for asset in listed.results] == [prediction.assets[0].id]
        assert stored.content[:3] == b"\xff\xd8\xff"
        assert (refused.status_code, refused.parsed.code, refused.parsed.charged) == (422, "invalid", "none")
