"""The product as it runs, seen and shaken from outside: a web process, workers, the provider, a creator's program."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import redis
import requests
from django.db import OperationalError, connection, transaction
from django.db.models import DateTimeField, F, Model
from django.test import Client
from django.utils import timezone

from accounts.models import DailySpend, LedgerEntry, QuotaPeriod, StorageUse, User
from accounts.tokens import create_token
from gallery import storage
from gallery.models import Asset, DiscardedObject
from generation.models import (
    Attempt,
    Output,
    Prediction,
    PredictionEvent,
    ProviderState,
    StorageState,
    WebhookDelivery,
)
from generation.sandbox.running import RunningSandbox
from generation.tests.making import make_user
from generation.tests.processes import ROOT
from generation.tests.running_studio import wait_for
from generation.tests.torture import surroundings
from generation.tests.torture.surroundings import PROMPT, Process, Web

IMAGE, VIDEO = "/api/generation/image", "/api/generation/video"
# Everything that time passes for; the books keep their dates.
CLOCKED: tuple[type[Model], ...] = (
    *(Attempt, Prediction, Output, PredictionEvent, WebhookDelivery),
    *(ProviderState, StorageState, Asset),
)


class Scene:
    """One test's stage. `web` answers; workers are started by the test; `sandbox` is the provider.

    `provider_url` is where the workers find the provider, perhaps through a proxy that spoils it.
    """

    def __init__(self, *, folder: Path, web: Web, sandbox: RunningSandbox, environment: dict[str, str]) -> None:
        self.folder, self.web, self.sandbox, self.environment = folder, web, sandbox, environment
        self.workers: list[Process] = []
        self.processes: list[Process] = [web]
        self.accepted: list[str] = []
        self.seen: list[str] = []
        self.held = ExitStack()
        # As an hour into the life of a studio: the first worker need not ask before webhooks are believed.
        known = {"webhook_secrets": [sandbox.secret], "secrets_read_at": timezone.now()}
        ProviderState.objects.create(provider="replicate", **known)
        self.user = make_user(username="creator", **UNLIMITED)
        self.program = Program(self, self.user)

    # The product's processes.

    def worker(self, *, fault: str = "", lanes: str = "", webhooks: bool = True, **more: str) -> Process:
        """Start a worker, perhaps one that will die at a named place."""
        named = {"PUBLIC_URL": self.web.url} if webhooks else {}
        process = surroundings.worker(
            self.folder, self.environment | named | ({"FAULT": fault} if fault else {}) | more, lanes=lanes
        )
        self.held.enter_context(process)
        self.workers.append(process)
        self.processes.append(process)
        return process

    def worker_that_dies(self, place: str, deed: str = "kill", **more: Any) -> Process:
        """Start a worker and wait until it has died at `place`."""
        process = self.worker(fault=f"{place}:{deed}", **more)
        process.wait(60)
        self.workers.remove(process)
        return process

    def kill(self, process: Process) -> None:
        """End a worker as a machine's failure would."""
        process.kill()
        self.workers.remove(process)

    def another_web(self, **more: str) -> Web:
        """A second web process, perhaps one that will die at a named place."""
        web = Web(self.folder, self.environment | more)
        self.held.enter_context(web)
        self.processes.append(web)
        return web

    def run(self, *words: str, expected: int = 0) -> str:
        """A management command to its end; what it printed."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout

    def stop_workers(self) -> None:
        """Ask all workers to end, and wait until they have."""
        for process in self.workers:
            process.terminate()
        self.workers.clear()

    def begin_anew(self) -> None:
        """As if nothing had been asked for yet; the web process goes on."""
        for process in list(self.workers):
            self.kill(process)
        self.processes = [self.web]
        self.sandbox.forget_everything()
        for stored in list(storage.listing()):
            storage.delete(stored.key)
        for model in (PredictionEvent, Output, Attempt, WebhookDelivery, Prediction, Asset, LedgerEntry, QuotaPeriod):
            model._default_manager.all().delete()
        DailySpend.objects.all().delete()
        DiscardedObject.objects.all().delete()
        StorageUse.objects.all().delete()
        ProviderState.objects.update(closed_until=None, faults=0, slot_at=None, read_slot_at=None, slow_until=None)
        StorageState.objects.all().delete()
        for name in ("spool", "tmp"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.accepted.clear()

    # The creator.

    def ask(self, about: str = "a lake", *, path: str = IMAGE, **body: Any) -> Prediction:
        """A request that is accepted; its row. `about` goes into the prompt, where the sandbox's faults find it."""
        return self.program.ask(about, path=path, **body)

    def row(self, prediction: Prediction) -> Prediction:
        """The row as it is now."""
        return Prediction.objects.get(pk=prediction.pk)

    def status(self, prediction: Prediction) -> str:
        """Its state now."""
        return str(self.row(prediction).status)

    def rests(self, prediction: Prediction, status: str) -> bool:
        """Whether it is in this state and nobody works at it."""
        row = self.row(prediction)
        return row.status == status and row.lease_token is None

    def told(self, prediction: Prediction) -> Any:
        """What the API tells of it."""
        return self.program.get(f"/api/predictions/{prediction.pk}").json()

    def card(self, prediction: Prediction) -> str:
        """What the creator's page shows of it."""
        browser = Client()
        browser.force_login(self.user)
        cookies = {name: morsel.value for name, morsel in browser.cookies.items()}
        return requests.get(f"{self.web.url}/predictions/{prediction.pk}/card", cookies=cookies, timeout=30).text

    # Time.

    def lapse(self, seconds: float, *, leases: bool = True) -> None:
        """As if so many seconds had passed for every row, due, leased, sent or expiring, and at the provider.

        Without `leases` those who hold one have renewed it all the while.
        """
        for tries_left in reversed(range(50)):
            try:
                self._move_clocks(timedelta(seconds=seconds), set() if leases else {"lease_until"})
                break
            except OperationalError:
                # Every row at once: on PostgreSQL we may meet a worker half-way, who is to go on.
                if not tries_left:
                    raise
        self.sandbox.lapse(seconds)

    @staticmethod
    def _move_clocks(shift: timedelta, kept: set[str]) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
            for model in CLOCKED:
                names = {field.name for field in model._meta.concrete_fields if isinstance(field, DateTimeField)}
                model._default_manager.update(**{name: F(name) - shift for name in names - kept})

    def let_leases_end(self) -> None:
        """As if the holders of all leases had been silent for thirty seconds, and everything were due."""
        past = timezone.now() - timedelta(seconds=1)
        for model in (Prediction, Output, Asset, WebhookDelivery):
            model._default_manager.filter(lease_until__gt=past).update(lease_until=past)
            model._default_manager.filter(due_at__gt=past).update(due_at=past)
        ProviderState.objects.filter(turn_until__gt=past).update(turn_until=past)

    def forget_turns(self) -> None:
        """As if no worker had lately done what one of them does now and then, and keeps in Redis where there is one."""
        if url := self.environment.get("REDIS_URL"):
            with redis.Redis.from_url(url) as client:
                for key in client.scan_iter("*:retention"):
                    client.delete(key)

    def make_due(self) -> None:
        """As if what is planned for later were due now; leases stay with their holders."""
        past = timezone.now() - timedelta(hours=2)
        for model in (Prediction, Output, Asset, WebhookDelivery):
            model._default_manager.filter(due_at__gt=past).update(due_at=past)

    # Waiting.

    def wait(
        self,
        condition: Callable[[], object],
        *,
        seconds: float = 90,
        what: str = "",
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Until `condition` holds, doing something `meanwhile`; fails with the logs after `seconds`."""

        def holds() -> bool:
            found = bool(condition())
            if not found:
                meanwhile()
            return found

        wait_for(holds, seconds=seconds, what=lambda: f"{what}\n{self.state()}\n{self.logs()}")

    def settle(self, *, seconds: float = 90, hurried: bool = False) -> None:
        """Until nothing is unfinished, waits or is due; `hurried`, as if no pause lasted."""

        def at_rest() -> bool:
            if hurried:
                self.make_due()
            return not self.unsettled()

        self.wait(at_rest, seconds=seconds, what="it never came to rest")

    def settle_doubts(self, *, seconds: float = 90) -> None:
        """Until nothing is unfinished; what is in doubt gets the five minutes after which there may be a verdict."""

        def pass_time() -> None:
            self.make_due()
            if any(attempt.doubtful for attempt in Attempt.objects.all()) and self.sandbox.log("list"):
                self.lapse(150, leases=False)

        self.wait(lambda: not self.unsettled(), seconds=seconds, meanwhile=pass_time)

    def unsettled(self) -> list[str]:
        """What still has to happen."""
        return [
            *(f"{row}" for row in Prediction.objects.unfinished()),
            *(f"{row}" for row in Output.objects.filter(state=Output.State.WAITING)),
            *(f"delivery {row}" for row in WebhookDelivery.objects.filter(due_at__isnull=False)),
            *(f"asset {row.pk}" for row in Asset.objects.filter(due_at__isnull=False)),
            *(f"object {row}" for row in DiscardedObject.objects.all()),
        ]

    def state(self) -> str:
        """The rows in words, for a failure's message."""
        rows = [
            f"{row.number} {row.status} {row.error_code} due {row.due_at} lease {row.lease_until} claims {row.claims}"
            for row in Prediction.objects.order_by("number")[:40]
        ]
        attempts = [
            f"  {attempt} sent {attempt.submitted_at} id {attempt.provider_id} {attempt.provider_status}"
            for attempt in Attempt.objects.order_by("created_at")[:40]
        ]
        outputs = [
            f"  {output} {output.state} {output.error_code} {output.tries}" for output in Output.objects.all()[:40]
        ]
        return "\n".join([*rows, *attempts, *outputs])

    def logs(self) -> str:
        """The ends of what all processes have said."""
        return "\n".join(
            f"--- {process.name} ({process.state()}) {process.log()[-3000:]}" for process in self.processes
        )

    # The provider.

    def is_doubted(self, prediction: Prediction) -> bool:
        """Whether a worker has noticed that the answer to its create is missing, and let go of the row."""
        return PredictionEvent.objects.filter(prediction=prediction, name="confirming").exists()

    def door_is_closed(self) -> bool:
        """Whether the provider is known to take no work just now, which refuses new requests."""
        closed = ProviderState.objects.filter(closed_until__gt=timezone.now())
        return closed.exclude(closed_reason__in=["", "rate_limited"]).exists()

    def creates(self) -> int:
        """How many creates have reached the provider and were accepted."""
        return sum(1 for entry in self.sandbox.log("create") if entry.get("prediction"))

    def note(self, sentence: str) -> None:
        """What the row's table tells of this test."""
        self.seen.append(sentence)


class Program:
    """A creator's program: knows an origin and a token, and nothing else."""

    def __init__(self, scene: Scene, user: User) -> None:
        self.scene, self.user = scene, user
        _, self.token = create_token(user=user, name="torture", expires_at=None, now=timezone.now())
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, *, web: Web | None = None) -> requests.Response:
        """GET as the creator."""
        return requests.get((web or self.scene.web).url + path, headers=self.headers, timeout=30, allow_redirects=False)

    def post(self, path: str, body: Any = None, *, web: Web | None = None, key: str = "") -> requests.Response:
        """POST JSON as the creator, perhaps under an idempotency key."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        return requests.post((web or self.scene.web).url + path, json=body, headers=headers, timeout=60)

    def ask(self, about: str = "a lake", *, path: str = IMAGE, key: str = "", **body: Any) -> Prediction:
        """A request that is accepted; its row."""
        answer = self.post(path, {"prompt": f"{about} {PROMPT}", **body}, key=key)
        assert answer.status_code == 201, answer.text
        made = answer.json()["predictionId"]
        if made not in self.scene.accepted:
            self.scene.accepted.append(made)
        return Prediction.objects.get(pk=made)


UNLIMITED = {
    "daily_count_limit": None,
    "monthly_count_limit": None,
    "daily_micros_limit": None,
    "monthly_micros_limit": None,
}


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is done here must be done by then."""
    began = time.monotonic()
    yield
    taken = time.monotonic() - began
    assert taken <= seconds, f"it took {taken:.1f} s, not {seconds:g}"


def ago(seconds: float) -> datetime:
    """A moment that lies so many seconds back."""
    return timezone.now() - timedelta(seconds=seconds)
