"""Sequences of whatever may happen, drawn at random: ask, cancel, tell, kill, freeze the clock, heal; then the oracle.

Each runs the real worker and web processes against the sandbox over HTTP. A sequence that fails is shrunk and printed
with its seed; `TORTURE_SEED` chooses another for the daily twenty, ten on each database.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from generation.models import Attempt, Prediction
from generation.tests.torture import oracle
from generation.tests.torture.deliveries import news
from generation.tests.torture.scene import Scene
from generation.tests.torture.surroundings import Process
from generation.tests.torture.test_kill_points import PLACES
from generation.work.lanes import LANES

pytestmark = pytest.mark.django_db(transaction=True)
# What may be wrong with one create, its end, its webhooks and its file.
FAULTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "answer lost": {"answer": {"kind": "lost"}},
    "answer lost, no webhooks": {"answer": {"kind": "lost", "reset": True}, "webhooks": {"drop": True}},
    "never arrived": {"answer": {"kind": "lost_before"}},
    "late answer": {"answer": {"kind": "late", "seconds": 0.5}},
    "garbage": {"answer": {"kind": "replace", "status": 201, "body": "<html>"}},
    "bare 502": {"answer": {"kind": "refuse", "status": 502, "body": "<html>"}},
    "input refused": {"answer": {"kind": "refuse", "status": 422}},
    "doubled, reversed webhooks": {"webhooks": {"copies": 2, "reversed": True}},
    "wrongly signed webhooks": {"webhooks": {"signature": "wrong"}},
    "interrupted": {"outcome": {"status": "failed", "error": "Prediction interrupted; please retry (code: PA)"}},
    "sensitive": {"outcome": {"status": "failed", "error": "flagged as sensitive (E005)"}},
    "aborted": {"outcome": {"status": "aborted"}},
    "slow": {"seconds": {"run": 0.7}},
    "file cut once": {"files": {"kind": "truncated", "times": 1}},
    "file missing once": {"files": {"kind": "missing", "times": 1}},
    "no file": {"output": {"shape": "empty_list"}},
}
# Files that a killed worker may leave to the sweep.
STORED_AT_ONCE = next(lane.concurrency for lane in LANES if lane.name == "store")
IN_WORKERS = sorted(place for place, (act, _) in PLACES.items() if act.__name__ in {"plain", "looked_at", "doubted"})


class Studio(RuleBasedStateMachine):
    """`scene` is set by the test that runs it; every sequence begins with an empty studio."""

    scene: Scene
    tally: Counter[str]

    @initialize(faults=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=4))
    def begin(self, faults: list[str]) -> None:
        self.scene.begin_anew()
        self.asked: list[Prediction] = []
        self.tally["sequences"] += 1
        self.killed = 0
        for fault in faults:
            self.ask(fault, "")
        self.worker: Process | None = self.scene.worker()

    @rule(fault=st.sampled_from(sorted(FAULTS)), key=st.sampled_from(["", "same", "other"]))
    def ask(self, fault: str, key: str) -> None:
        word = f"number {len(self.asked)} {fault}" if not key else f"under {key}"
        if FAULTS[fault]:
            self.scene.sandbox.add_fault(FAULTS[fault], prompt_contains=word)
        self.asked.append(self.scene.ask(word, key=key))
        self.tally["requests"] += 1

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        prediction = data.draw(st.sampled_from(self.asked))
        answer = self.scene.program.post(f"/api/predictions/{prediction.pk}/cancel")
        assert answer.status_code in {202, 409}, answer.text
        self.tally["cancels"] += 1

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), copies=st.integers(1, 3))
    def tell(self, data: st.DataObject, copies: int) -> None:
        """The provider tells of something again, or of something that has long passed."""
        prediction = data.draw(st.sampled_from(self.asked))
        word = data.draw(st.sampled_from(["starting", "processing", ""]))
        newest = Attempt.objects.filter(prediction=prediction).order_by("-number")
        wait_for_a_moment(lambda: bool(newest[0].provider_id or newest[0].closed_at))
        # A new attempt may have begun in this very moment.
        with suppress(KeyError):
            delivery = news(self.scene, prediction, word)
            assert {delivery.to(self.scene.web) for _ in range(copies)} == {204}
            self.tally["deliveries"] += copies

    @precondition(lambda self: self.worker)
    @rule(seconds=st.floats(0.8, 2.0))
    def kill(self, seconds: float) -> None:
        """A worker dies, wherever it has come to."""
        assert self.worker is not None
        time.sleep(seconds)
        self.kill_now(self.worker)
        self.worker = None

    def kill_now(self, worker: Process) -> None:
        self.scene.kill(worker)
        self.killed += 1
        self.tally["kills"] += 1

    @precondition(lambda self: self.worker is None)
    @rule(place=st.sampled_from(["", *IN_WORKERS]))
    def start(self, place: str) -> None:
        """Another worker takes over, perhaps one that is to die somewhere."""
        self.scene.let_leases_end()
        self.killed += bool(place)
        self.tally["kills"] += bool(place)
        self.worker = self.scene.worker(fault=f"{place}:kill" if place else "")

    @precondition(lambda self: self.worker)
    @rule()
    def wait_for_the_next_look(self) -> None:
        """What was planned for later is due."""
        self.scene.make_due()

    def teardown(self) -> None:
        """Everything heals; then all that was accepted ends, and the oracle holds."""
        self.scene.sandbox.clear_faults()
        if self.worker:
            self.kill_now(self.worker)
        self.scene.let_leases_end()
        self.scene.worker()
        self.scene.settle_doubts()
        left = self.killed * STORED_AT_ONCE
        oracle.check(self.scene, orphans=left, scratch=left)


def wait_for_a_moment(condition: Callable[[], bool]) -> None:
    """At most three seconds."""
    until = time.monotonic() + 3
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)


def try_sequences(scene: Scene, *, number: int, first_seed: int, steps: int) -> None:
    """Run `number` random sequences from one seed, and say which."""
    tally: Counter[str] = Counter()
    machine = type("Machine", (Studio,), {"scene": scene, "tally": tally})
    checks = settings(
        max_examples=number,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        # Each step is real: to shrink a failure takes longer than to read it.
        phases=[Phase.generate],
    )
    run_state_machine_as_test(seed(first_seed)(machine), settings=checks)
    scene.note(f"seed {first_seed}: {', '.join(f'{count} {what}' for what, count in tally.items())}")
    assert tally["sequences"] >= number


@pytest.mark.row("random")
@pytest.mark.timeout(600)
def test_ten_random_sequences_keep_every_promise(scene: Scene) -> None:
    """On each of the two databases others."""
    first_seed = int(os.environ.get("TORTURE_SEED", "1")) + (0 if connection.vendor == "sqlite" else 1)
    try_sequences(scene, number=10, first_seed=first_seed, steps=5)


@pytest.mark.row("random")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(5))
def test_a_hundred_random_sequences_keep_every_promise(scene: Scene, part: int) -> None:
    """On each of the two databases others."""
    first_seed = part + (101 if connection.vendor == "sqlite" else 201)
    try_sequences(scene, number=20, first_seed=first_seed, steps=8)
