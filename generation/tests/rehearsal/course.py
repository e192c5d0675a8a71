"""One rehearsal from its first request to its last: load, restarts, deaths, and what was measured meanwhile."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from django.utils import timezone

from generation.models import Prediction
from generation.tests.making import make_user
from generation.tests.rehearsal.creators import Creator, Page, Request
from generation.tests.rehearsal.house import KINDS, NAMES, Deed, House
from generation.tests.torture.scene import UNLIMITED, Scene
from palette import vitals

CREATORS: Final = 24
OPEN_PAGES: Final = 8
# Of a long course, this share before the first restart and after the last death is calm, to compare both.
CALM_SHARE: Final = 0.2
LONG_SECONDS: Final = 120
LOOK_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 600


@dataclass(frozen=True)
class Look:
    """One moment, `at` seconds after the beginning: bytes by process, oldest due row by lane, what is unfinished."""

    at: float
    memory: dict[str, int]
    queue_ages: dict[str, float]
    unfinished: int


@dataclass
class Course:
    """What came of it; times are seconds since 1970."""

    rate: float
    deeds: list[Deed] = field(default_factory=list)
    creators: list[Creator] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    began_at: float = 0.0
    seconds: float = 0.0
    drained_seconds: float = 0.0
    load: tuple[float, float] = (0.0, 0.0)

    def refused(self) -> list[str]:
        """What creators were answered in place of a prediction."""
        return [sentence for creator in self.creators for sentence in creator.refused]

    def cut_off(self, request: Request) -> bool:
        """Whether it was under way while a process that may have held it was killed, and then its children."""
        deaths = [
            (deed.at, deed.at + deed.ended_seconds)
            for deed in self.deeds
            if deed.killed and not deed.name.startswith("worker")
        ]
        return any(request.began_at <= end and begin <= request.ended_at for begin, end in deaths)


def rehearse(scene: Scene, house: House, *, rate: float, seconds: float) -> Course:
    """Ask `rate` times a second for `seconds`, or until every restart and death is over; then wait for all ends.

    Of a short course nobody waits for the five minutes that end a doubt.
    """
    is_long = seconds >= LONG_SECONDS
    course = Course(rate, deeds=list(plan(long=is_long)))
    users = [make_user(username=f"creator-{number}", **UNLIMITED) for number in range(CREATORS - 1)]
    for number, user in enumerate([scene.user, *users]):
        pause = CREATORS / rate
        course.creators.append(Creator(scene, user, seconds=pause, first=pause * number / CREATORS))
    for number, creator in enumerate(course.creators[:OPEN_PAGES]):
        course.pages.append(Page(creator, patience=0.2 + number * 0.4))
    course.began_at, load_before = time.time(), os.getloadavg()[0]
    try:
        go(house, course, seconds)
    except BaseException:
        for page in course.pages:
            page.over.set()
        raise
    course.load = (load_before, os.getloadavg()[0])
    ended = time.monotonic()
    (scene.settle if is_long else scene.settle_doubts)(seconds=DRAIN_SECONDS)
    house.look()
    course.drained_seconds = time.monotonic() - ended
    return course


def go(house: House, course: Course, seconds: float) -> None:
    """From the first request to the answer of the last."""
    with ThreadPoolExecutor(1) as hand:
        deeds = hand.submit(do_all, house, course.deeds, seconds)
        for thread in (*course.pages, *course.creators):
            thread.start()
        try:
            watch(house, course, seconds, deeds)
        finally:
            for creator in course.creators:
                creator.over.set()
        for creator in course.creators:
            creator.join()
        course.seconds = time.time() - course.began_at
        deeds.result()


def plan(*, long: bool) -> Iterator[Deed]:
    """Every process is restarted and one of each kind killed; in a short course most suffer one of both."""
    if long:
        yield from (Deed(name, killed=False) for name in NAMES)
        yield from (Deed(f"{kind} 1", killed=True) for kind in KINDS)
        return
    for kind in KINDS:
        yield Deed(f"{kind} 1", killed=False)
        # Who takes from one listener is nobody's choice: either may have all the sockets, and the other nobody to tell.
        if kind == "sockets":
            yield Deed(f"{kind} 2", killed=False)
        yield Deed(f"{kind} 2", killed=True)


def do_all(house: House, deeds: list[Deed], seconds: float) -> None:
    """One after the other, spread over what is not to be calm."""
    began = time.monotonic()
    calm = seconds * CALM_SHARE
    for number, deed in enumerate(deeds):
        due_at = began + calm + number * (seconds - 2 * calm) / len(deeds)
        time.sleep(max(0.0, due_at - time.monotonic()))
        house.do(deed)


def watch(house: House, course: Course, seconds: float, deeds: Future[None]) -> None:
    """Look once a second until the time is over and all is done."""
    while (at := time.time() - course.began_at) < seconds or not deeds.done():
        now = timezone.now()
        ages = {lane: age for name, lane, age in vitals.lanes(now) if name == "queue_age_seconds"}
        course.looks.append(Look(at, house.look(), ages, Prediction.objects.unfinished().count()))
        time.sleep(LOOK_SECONDS)
