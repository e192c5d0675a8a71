"""F57: a deployment under load, behind a proxy: nothing is lost, nobody is turned away."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from generation.models import Prediction
from generation.sandbox.running import RunningSandbox
from generation.tests.rehearsal import report
from generation.tests.rehearsal.course import Course, rehearse
from generation.tests.rehearsal.creators import Page
from generation.tests.rehearsal.house import House
from generation.tests.running_studio import wait_for
from generation.tests.torture import oracle, surroundings
from generation.tests.torture.scene import Scene
from palette.draining import SERVICE_RESTART

# Twelve processes begin one after the other, on a machine that is busy with other tests.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(1800)]

# What `make rehearse` says in their place.
RATE, SECONDS = 2.0, 30.0
# A process that is killed may leave this many files where it made them, and under keys that no row names.
LEFT_BY_THE_KILLED = 16
CUT = 1006


@pytest.mark.row("F57")
def test_restarting_and_killing_every_kind_of_process_under_load_loses_nothing(
    transactional_db: None, in_store: None, sandbox: RunningSandbox, folder: Path
) -> None:
    asked = json.loads(os.environ.get("REHEARSAL", "{}"))
    house = House(folder, surroundings.environment(folder, sandbox.url))
    scene = Scene(folder=folder, web=house.proxy, sandbox=sandbox, environment=house.environment)
    scene.processes = house.processes

    with house:
        course = rehearse(scene, house, rate=asked.get("rate", RATE), seconds=asked.get("seconds", SECONDS))

        if "report" in asked:
            Path(asked["report"]).write_text(report.page(course, house, scene))
        assert not course.refused()
        assert not [request for request in house.proxy.requests() if request.failed and not course.cut_off(request)]
        assert_pages_were_told(course)
        scene.note(f"{len(scene.accepted)} asked for in {course.seconds:.0f} s")
        scene.note(oracle.check(scene, orphans=LEFT_BY_THE_KILLED, scratch=LEFT_BY_THE_KILLED))


def assert_pages_were_told(course: Course) -> None:
    """Sockets were closed for the restart, or cut off with their process; each page has heard of every end."""
    codes = {code for page in course.pages for code in page.ended.codes}
    assert SERVICE_RESTART in codes
    assert codes <= {SERVICE_RESTART, CUT}
    assert not [status for page in course.pages for status in page.ended.unopened]
    for page in course.pages:
        wait_for(partial(has_heard_of_all, page), seconds=60, what=partial(str, page.cards))
        page.over.set()


def has_heard_of_all(page: Page) -> bool:
    """Whether it shows every card of its creator's as the database has it."""
    rows = Prediction.objects.filter(user_id=page.creator.user_id).values_list("number", "status")
    return {f"prediction-{number}": status for number, status in rows}.items() <= page.cards.items()
