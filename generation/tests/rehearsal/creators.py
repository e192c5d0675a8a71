"""Creators who ask at a steady rate, through the API and the page, and pages that are open meanwhile."""

import json
import re
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import requests
from django.conf import settings
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from accounts.models import User
from generation.tests.making import BANANA
from generation.tests.torture.oracle import CARD
from generation.tests.torture.scene import IMAGE, Program, Scene
from generation.tests.torture.surroundings import PROMPT

# Every fourth asks by the page's form, every fifth looks at the page.
BY_PAGE, LOOKING = 4, 5
PAUSE_SECONDS: Final = 1.0
TRIES: Final = 10


@dataclass(frozen=True)
class Request:
    """One answer; `status` 0 where there was none."""

    way: str
    began_at: float
    ended_at: float
    status: int

    @property
    def failed(self) -> bool:
        """Whether its sender has to do it again."""
        return self.status == 0 or self.status >= 500


class Creator(threading.Thread):
    """Asks every `seconds`, on time as long as answers come in time; what fails is sent again under its key."""

    def __init__(self, scene: Scene, user: User, *, seconds: float, first: float) -> None:
        super().__init__(name=user.username, daemon=True)
        self.scene, self.seconds, self.first = scene, seconds, first
        self.user_id = user.pk
        self.token = Program(scene, user).token
        browser = Client()
        browser.force_login(user)
        self.session = str(browser.cookies[settings.SESSION_COOKIE_NAME].value)
        self.over = threading.Event()
        self.requests: list[Request] = []
        self.refused: list[str] = []

    @property
    def cookies(self) -> dict[str, str]:
        """What lets the page in."""
        return {settings.SESSION_COOKIE_NAME: self.session}

    def run(self) -> None:
        """Until `over`."""
        program, page = requests.Session(), requests.Session()
        page.cookies.update(self.cookies)
        due_at, count = time.monotonic() + self.first, 0
        while not self.over.wait(max(0.0, due_at - time.monotonic())):
            due_at, count = max(due_at + self.seconds, time.monotonic() - 5.0), count + 1
            if count % BY_PAGE:
                self.insist(lambda key: self.ask_api(program, key), str(uuid.uuid4()))
            else:
                self.insist(lambda key: self.ask_page(page, key), str(uuid.uuid4()))
            if count % LOOKING == 0:
                self.noted("look", lambda: page.get(f"{self.scene.web.url}/", timeout=60))

    def insist(self, ask: Any, key: str) -> None:
        """The same request under the same key until it is answered."""
        for _ in range(TRIES):
            if ask(key):
                return
            time.sleep(PAUSE_SECONDS)
        self.refused.append(f"given up after {TRIES} tries")

    def ask_api(self, program: requests.Session, key: str) -> bool:
        """A program's request; True once it need not be sent again."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        body = {"prompt": f"lake {key} {PROMPT}"}
        url = f"{self.scene.web.url}{IMAGE}"
        answer = self.noted("API", lambda: program.post(url, json=body, headers=headers, timeout=60))
        if answer is None or answer.status_code >= 500:
            return False
        if answer.status_code != 201:
            self.refused.append(f"{answer.status_code} {answer.text[:200]}")
        else:
            self.scene.accepted.append(answer.json()["predictionId"])
        return True

    def ask_page(self, page: requests.Session, key: str) -> bool:
        """The form as it is sent without scripts."""
        url = f"{self.scene.web.url}/generate"
        if settings.CSRF_COOKIE_NAME not in page.cookies:
            self.noted("look", lambda: page.get(f"{self.scene.web.url}/", timeout=60))
        token = page.cookies.get(settings.CSRF_COOKIE_NAME)
        if token is None:
            return False
        form = {"model": BANANA, "prompt": f"lake {key} {PROMPT}", "idempotency_key": key, "csrfmiddlewaretoken": token}
        answer = self.noted("form", lambda: page.post(url, data=form, timeout=60, allow_redirects=False))
        if answer is None or answer.status_code >= 500:
            return False
        made = parse_qs(urlsplit(answer.headers.get("Location", "")).query).get("reuse")
        if made is None:
            self.refused.append(f"{answer.status_code} {re.sub('<[^>]+>', ' ', answer.text)[:200]}")
        else:
            self.scene.accepted.append(made[0])
        return True

    def noted(self, way: str, send: Any) -> requests.Response | None:
        """Send, and keep how it went."""
        began_at, answer = time.time(), None
        with suppress(requests.RequestException):
            answer = send()
        self.requests.append(Request(way, began_at, time.time(), 0 if answer is None else answer.status_code))
        return answer


@dataclass
class Ended:
    """How often sockets were closed with each code, and how often none could be opened, by status."""

    codes: list[int] = field(default_factory=list)
    unopened: list[int] = field(default_factory=list)
    away_seconds: list[float] = field(default_factory=list)


class Page(threading.Thread):
    """An open page of a creator's: hears of cards, and when its socket closes comes back as the script does."""

    def __init__(self, creator: Creator, *, patience: float) -> None:
        super().__init__(name=f"page of {creator.name}", daemon=True)
        self.creator, self.patience = creator, patience
        self.over = threading.Event()
        self.ended = Ended()
        self.opened_at: float | None = None
        self.cards: dict[str, str] = {}
        self.seen = 0

    def run(self) -> None:
        """Until `over`."""
        left_at = None
        while not self.over.is_set():
            try:
                with self.opened() as socket:
                    self.opened_at = time.monotonic()
                    if left_at is not None:
                        self.ended.away_seconds.append(time.monotonic() - left_at)
                    self.listen(socket)
            except ConnectionClosed as closed:
                self.ended.codes.append(closed.rcvd.code if closed.rcvd else 1006)
            except InvalidStatus as refused:
                self.ended.unopened.append(refused.response.status_code)
            except (OSError, TimeoutError):
                self.ended.unopened.append(0)
            left_at = time.monotonic()
            self.over.wait(self.patience)

    def opened(self) -> Any:
        """A new socket, through the proxy."""
        url = self.creator.scene.web.url
        cookie = "; ".join(f"{name}={value}" for name, value in self.creator.cookies.items())
        address = f"{url.replace('http', 'ws', 1)}/ws/studio"
        return connect(address, additional_headers={"Cookie": cookie}, origin=Origin(url), open_timeout=60)

    def listen(self, socket: Any) -> None:
        """Ask what was missed, again every half minute, and take what comes."""
        while not self.over.is_set():
            socket.send(json.dumps({"since": self.seen}))
            ask_at = time.monotonic() + 30
            while not self.over.is_set() and time.monotonic() < ask_at:
                try:
                    frame = str(socket.recv(timeout=1))
                except TimeoutError:
                    continue
                if frame.startswith("{"):
                    self.seen = max(self.seen, int(json.loads(frame)["seen"]))
                else:
                    self.cards |= dict(CARD.findall(frame))
