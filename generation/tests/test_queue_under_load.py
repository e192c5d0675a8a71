"""Four worker processes at one queue: what is in flight stays below every cap, and every user gets their turn.

The provider's own books are read: when each run began and ended there, to the millisecond.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from generation.models import ModelCap, Prediction
from generation.sandbox.running import RunningSandbox
from generation.sandbox.state import Prediction as Run
from generation.states import Status
from generation.tests.making import BANANA, SEEDANCE, make_prediction, make_user
from generation.tests.processes import worker
from generation.work.choose import in_flight
from generation.work.chores import read_webhook_secret

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(360)]
WORKERS = 4
# Files are none of this test's business.
LANES = "submit,refresh,deliver,chores"
PICTURE_SECONDS, FILM_SECONDS = 0.3, 0.5
UNLIMITED: dict[str, Any] = {
    "daily_count_limit": None,
    "monthly_count_limit": None,
    "daily_micros_limit": None,
    "monthly_micros_limit": None,
}


@pytest.fixture(autouse=True)
def provider(settings: Settings, sandbox: RunningSandbox, live_server: LiveServer) -> Iterator[None]:
    """Runs take a moment, and their ends are told to this process."""
    settings.WEBHOOK_ORIGIN = live_server.url
    read_webhook_secret(now=timezone.now())
    sandbox.forget_predictions()
    for model, seconds in ((BANANA, PICTURE_SECONDS), (SEEDANCE, FILM_SECONDS)):
        sandbox.add_fault({"seconds": {"queue": 0.05, "run": seconds}}, model=model, times=None)
    yield
    sandbox.forget_everything()


@pytest.fixture
def start(sandbox: RunningSandbox) -> Iterator[Callable[..., None]]:
    """Starts the workers, with caps by the name of their setting."""
    with ExitStack() as stack:

        def begin(**caps: str) -> None:
            for _ in range(WORKERS):
                stack.enter_context(worker(lanes=LANES, CREATES_PER_MINUTE="60000", **caps))

        yield begin
        # Nothing may be told to this process any more when its rows are cleared away.
        Prediction.objects.filter(status=Status.QUEUED, submitted_at=None).update(status=Status.CANCELED, due_at=None)
        sandbox.wait_until(lambda: not in_flight().exists(), seconds=60)


def user(name: str) -> User:
    return make_user(username=name, **UNLIMITED)


def ask(owner: User, *, model: str = BANANA) -> Prediction:
    """A request whose prompt says whose it is, so that the provider's books do."""
    return make_prediction(user=owner, model=model, now=timezone.now(), prompt=f"by {owner.username}")


def owner(run: Run) -> str:
    return str(run.input["prompt"]).removeprefix("by ")


def most_at_once(runs: list[Run], key: Callable[[Run], str]) -> dict[str, int]:
    """For each key the most runs that were under way at any moment."""
    begun = [(run.created_at, 1, key(run)) for run in runs]
    # What ends in the millisecond in which another begins has made room for it.
    ended = [(run.completed_at or float("inf"), -1, key(run)) for run in runs]
    held: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for _, change, name in sorted(begun + ended):
        held[name] += change
        most[name] = max(most[name], held[name])
    return dict(most)


class TestFourWorkers:
    def test_pass_no_cap(self, settings: Settings, sandbox: RunningSandbox, start: Callable[..., None]) -> None:
        ModelCap.objects.create(model=SEEDANCE, max_in_flight=2)
        for name in ("ada", "bob", "eve", "joe", "kim"):
            someone = user(name)
            for _ in range(3):
                ask(someone)
                ask(someone, model=SEEDANCE)
        start(MAX_IN_FLIGHT="5", MAX_IN_FLIGHT_PER_USER="2")

        seen_in_all, seen_of_user, seen_of_film = 0, 0, 0
        until = time.monotonic() + 200
        while Prediction.objects.exclude(status=Status.STORING).exists() and time.monotonic() < until:
            rows = list(in_flight().values_list("user_id", "model"))
            seen_in_all = max(seen_in_all, len(rows))
            seen_of_user = max([seen_of_user, *Counter(who for who, _ in rows).values()])
            seen_of_film = max(seen_of_film, sum(model == SEEDANCE for _, model in rows))
            time.sleep(0.01)

        runs = sandbox.predictions()
        assert len(runs) == 30 and all(run.completed_at for run in runs)
        # Never passed, neither there nor in our own rows; and reached, or nearly, so that the bounds were tried.
        assert 4 <= seen_in_all <= 5 and most_at_once(runs, lambda run: "all")["all"] <= 5
        assert seen_of_user == 2 and max(most_at_once(runs, owner).values()) <= 2
        assert seen_of_film == 2 and most_at_once(runs, lambda run: run.model)[SEEDANCE] <= 2

    def test_give_everybody_their_turn(self, sandbox: RunningSandbox, start: Callable[..., None]) -> None:
        names = ("bob", "kim", "lou", "max")
        for name, count in zip(names, (100, 24, 24, 24), strict=True):
            someone = user(name)
            for _ in range(count):
                ask(someone)
        start(MAX_IN_FLIGHT="4", MAX_IN_FLIGHT_PER_USER="4")

        # While all of them have something waiting, all get the same: in the long run, as a run that is heard of late
        # holds its slot for longer.
        sandbox.wait_until(lambda: max(given(sandbox).values(), default=0) >= 20, seconds=200)
        counts = given(sandbox)
        assert jain([counts[name] for name in names]) >= 0.95, counts

        # Whoever has one beside dozens of another's waits two slots at most.
        sandbox.wait_until(lambda: sum(given(sandbox).values()) > 100, seconds=200)
        for name in ("ada", "eve", "joe"):
            assert sent_before(ask(user(name)), sandbox) <= 2


def sent_before(hers: Prediction, sandbox: RunningSandbox) -> int:
    """Wait until it is sent; how many were given a slot since it was asked for."""
    leaving = set(in_flight().values_list("pk", flat=True))
    sent = Prediction.objects.filter(submitted_at__isnull=False)
    sandbox.wait_until(lambda: sent.filter(pk=hers.pk).exists(), seconds=60)
    hers.refresh_from_db()
    between = sent.filter(submitted_at__gt=hers.created_at, submitted_at__lt=hers.submitted_at)
    return between.exclude(pk__in=leaving).count()


def given(sandbox: RunningSandbox) -> Counter[str]:
    """How many slots each user has had: which of the runs ends first is chance."""
    return Counter(owner(run) for run in sandbox.predictions())


def jain(shares: list[int]) -> float:
    """Jain's index: 1 when all shares are alike, 1/n when one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))
