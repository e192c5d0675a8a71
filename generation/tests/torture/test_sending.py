"""F01 to F14: the way of a request to the provider."""

import signal

import pytest

from generation.tests.torture import oracle
from generation.tests.torture.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.row("F05")
def test_killed_after_acceptance_is_found_and_never_sent_again(scene: Scene) -> None:
    prediction = scene.ask()
    dead = scene.worker_that_dies("create.after_response")
    assert dead.wait() == -signal.SIGKILL
    scene.let_leases_end()

    scene.worker()
    scene.settle()

    assert scene.status(prediction) == "succeeded"
    assert scene.creates() == 1
    scene.note(oracle.check(scene))
