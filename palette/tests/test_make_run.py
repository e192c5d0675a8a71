"""The product as `make run` starts it, killed in the middle of its work and started again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings
from pytest_django import Settings

from accounts.models import User
from palette.environment import VARIABLES
from palette.management.commands.studio import prepare, welcome
from palette.tests.ports import free_port

ROOT = Path(settings.BASE_DIR)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent by prctl"),
    pytest.mark.skipif("DATABASE_URL" in os.environ, reason="it is about the start without services, shown already"),
]


class Studio:
    """`manage.py studio` on a port and in a folder of its own, as often as it is started."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = folder / "output"
        self.data_dir = folder / "data"
        self.environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        self.environment |= {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), "HOST": "127.0.0.1"}
        self.environment["DJANGO_SETTINGS_MODULE"] = "palette.settings"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start and wait for the ready line; returns all that was printed."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "studio"], cwd=ROOT, env=self.environment, stdout=output, stderr=output
            )
        until = time.monotonic() + 120
        while f"Directors Palette is ready: {self.url}\n" not in (printed := self.output.read_text()):
            assert self.process.poll() is None, printed
            assert time.monotonic() < until, printed
            time.sleep(0.05)
        return printed

    def end(self, number: int) -> int:
        """Send one signal to the supervisor alone and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def manage(self, *words: str) -> str:
        """What a management command prints."""
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def processes(self) -> list[int]:
        """Every process that works in our folder."""
        mark = f"DATA_DIR={self.data_dir}".encode()
        return [int(place.name) for place in Path("/proc").glob("[0-9]*") if mark in surroundings_of(place)]


def surroundings_of(process: Path) -> bytes:
    """The environment of a process; nothing when it is gone or dead."""
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    started = Studio(tmp_path)
    yield started
    if started.process is not None and started.process.poll() is None:
        started.end(signal.SIGKILL)


def wait_until_gone(studio: Studio) -> None:
    until = time.monotonic() + 30
    while studio.processes():
        assert time.monotonic() < until, studio.processes()
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
class TestPrepare:
    def test_makes_the_demo_account(self) -> None:
        demo = prepare()

        assert demo is not None
        assert demo[0] == "demo"
        assert User.objects.get().check_password(demo[1] or "")
        assert "shown only now" in welcome(demo)

    def test_makes_no_account_in_production(self, settings: Settings, tmp_path: Path) -> None:
        settings.PRODUCTION = True
        settings.STATIC_ROOT = tmp_path

        demo = prepare()

        assert demo is None
        assert not User.objects.exists()
        assert "createsuperuser" in welcome(demo)


class TestMakeRun:
    def test_goes_on_after_everything_was_killed(self, studio: Studio) -> None:
        first = studio.start()
        headers = {"Authorization": f"Bearer {studio.manage('create_api_token', 'demo').strip()}"}
        asked = requests.post(
            f"{studio.url}/api/generation/image", json={"prompt": "a lighthouse"}, headers=headers, timeout=30
        )
        assert asked.status_code == 201, asked.text
        address = f"{studio.url}/api/predictions/{asked.json()['predictionId']}"
        until = time.monotonic() + 120
        while requests.get(address, headers=headers, timeout=30).json()["stage"] not in {"starting", "processing"}:
            assert time.monotonic() < until
            time.sleep(0.05)

        studio.end(signal.SIGKILL)
        wait_until_gone(studio)
        second = studio.start()

        until = time.monotonic() + 120
        while (found := requests.get(address, headers=headers, timeout=30).json())["status"] != "succeeded":
            assert found["status"] in {"starting", "processing"}, found
            assert time.monotonic() < until, found
            time.sleep(0.2)
        output = found["output"] if isinstance(found["output"], str) else found["output"][0]
        picture = requests.get(requests.compat.urljoin(studio.url, output), headers=headers, timeout=30)
        assert picture.headers["Content-Type"].startswith("image/")
        assert re.search(r"Demo account: demo\n.*password.*: \S+", first)
        assert "shown only now" not in second
        assert "changepassword demo" in second

    def test_ends_with_all_its_processes_on_a_signal(self, studio: Studio) -> None:
        studio.start()

        assert studio.end(signal.SIGINT) == 0
        wait_until_gone(studio)
        assert "Traceback" not in studio.output.read_text()

    def test_runs_once_in_a_folder_and_on_a_port(self, studio: Studio, tmp_path: Path) -> None:
        studio.start()
        command = [sys.executable, "manage.py", "studio"]
        elsewhere = studio.environment | {"DATA_DIR": str(tmp_path / "other")}

        same_folder = subprocess.run(
            command, cwd=ROOT, env=studio.environment, capture_output=True, text=True, check=False
        )
        same_port = subprocess.run(command, cwd=ROOT, env=elsewhere, capture_output=True, text=True, check=False)

        assert (same_folder.returncode, same_port.returncode) == (1, 1)
        assert "already running in" in same_folder.stderr
        assert f"Port {studio.port} on 127.0.0.1 is taken" in same_port.stderr
        assert "Traceback" not in same_folder.stderr + same_port.stderr
        assert [same_folder.stderr.count("\n"), same_port.stderr.count("\n")] == [1, 1]
