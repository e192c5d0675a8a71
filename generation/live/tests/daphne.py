"""The web server alone, in a process of its own."""

import subprocess
import sys
from types import TracebackType
from typing import Self

from django.conf import settings
from websockets.typing import Origin

from generation.tests.processes import ROOT, environment
from generation.tests.running_studio import READY_SECONDS, answers, wait_for
from palette.tests.ports import free_port


class Daphne:
    """Daphne on the database of the test, started by entering the context."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.origin = Origin(self.url)
        self.socket = f"ws://127.0.0.1:{port}/ws/studio"
        listen = ["--bind", "127.0.0.1", "--port", str(port), "--verbosity", "0"]
        self.command = [sys.executable, "-m", "daphne", *listen, "palette.asgi:application"]

    def __enter__(self) -> Self:
        surroundings = environment(SECRET_KEY=settings.SECRET_KEY)
        self.process = subprocess.Popen(self.command, cwd=ROOT, env=surroundings)
        wait_for(lambda: answers(f"{self.url}/healthz"), seconds=READY_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
