"""What `make rehearse` writes down."""

import os
import platform
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from generation.models import Prediction
from generation.tests.rehearsal.course import CALM_SHARE, CREATORS, Course, Look
from generation.tests.rehearsal.creators import Request
from generation.tests.rehearsal.house import KINDS, House
from generation.tests.torture.scene import Scene

MIB = 1024**2
# nginx's own.
HUNG_UP = 499


def page(course: Course, house: House, scene: Scene) -> str:
    """All of it, in Markdown."""
    sections = (
        head(course, scene),
        asked(course, house),
        restarts(course),
        sockets(course),
        flatness(course),
        work(house, scene),
    )
    return "\n".join(line for section in sections for line in [*section, ""]).rstrip() + "\n"


def head(course: Course, scene: Scene) -> Iterator[str]:
    """What was done, where, and what it came to."""
    ends = Counter(Prediction.objects.values_list("status", flat=True))
    yield "# Rehearsal, last run"
    yield ""
    where = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores"
    yield f"`make rehearse` on {where}, load average {course.load[0]:.1f} before and {course.load[1]:.1f} at the end."
    yield "nginx, two gunicorn for pages, two Daphne for sockets, two workers, PostgreSQL, Redis, an S3 server and the"
    yield f"sandbox as the provider, all on this one machine, and {CREATORS} creators beside them."
    yield "[Operations](../operations.md#rehearsal) says how."
    yield ""
    count = len(scene.accepted)
    yield f"**{course.rate:g} predictions a second were wanted, {count / course.seconds:.1f} a second were asked for**"
    yield f"({count} in {course.seconds:.0f} s); all had ended {course.drained_seconds:.0f} s after the last:"
    yield f"{', '.join(f'{number} {status}' for status, number in ends.most_common())}."


def asked(course: Course, house: House) -> Iterator[str]:
    """Requests by their sender and as the proxy saw them."""
    groups: dict[str, list[Request]] = defaultdict(list)
    for request in [request for creator in course.creators for request in creator.requests]:
        groups[
            {"API": "asked by the API", "form": "asked by the page", "look": "looked at the page"}[request.way]
        ].append(request)
    for request in house.proxy.requests():
        if "/webhooks/" in request.way:
            groups["webhook of the provider"].append(request)
        groups["everything behind the proxy"].append(request)
    yield "## Requests"
    yield ""
    yield "*Cut off*: under way when the process that had them was killed with SIGKILL. A proxy never repeats a POST:"
    yield "its sender was answered 502 and sent it again under the same key. *Failed*: any other answer of 500 or more,"
    yield "or none. *Hung up*: the sender did not wait for the answer; the provider waits ten seconds, and asks again."
    yield ""
    yield "| | requests | failed | cut off | hung up | p50 | p95 | p99 | longest |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, requests in groups.items():
        cut = sum(request.failed and course.cut_off(request) for request in requests)
        failed = sum(request.failed for request in requests) - cut
        hung_up = sum(request.status == HUNG_UP for request in requests)
        times = quantiles(request.ended_at - request.began_at for request in requests if "/ws/" not in request.way)
        yield f"| {name} | {len(requests)} | {failed} | {cut} | {hung_up} | {' | '.join(times)} |"


def restarts(course: Course) -> Iterator[str]:
    """What each process went through."""
    yield "## Restarts and deaths"
    yield ""
    yield "| second | process | signal | ended after | with | back after |"
    yield "|---|---|---|---|---|---|"
    for deed in course.deeds:
        signal = "SIGKILL" if deed.killed else "SIGTERM"
        took = f"{deed.ended_seconds:.1f} s | {deed.exit_code} | {deed.back_seconds:.1f} s"
        yield f"| {deed.at - course.began_at:.0f} | {deed.name} | {signal} | {took} |"


def sockets(course: Course) -> Iterator[str]:
    """How open pages fared."""
    codes = Counter(code for opened in course.pages for code in opened.ended.codes)
    away = quantiles(seconds for opened in course.pages for seconds in opened.ended.away_seconds)
    yield "## Open pages"
    yield ""
    unopened = sum(len(opened.ended.unopened) for opened in course.pages)
    yield f"{len(course.pages)} sockets were open. Closed with 1012 at SIGTERM: {codes.pop(1012, 0)}; cut off by"
    yield f"SIGKILL: {codes.pop(1006, 0)}; otherwise: {sum(codes.values())}. Refused when they came back: {unopened}."
    yield f"Back after {away[0]} (median), {away[3]} at most. Each had heard of every end of its creator's in the end."


def flatness(course: Course) -> Iterator[str]:
    """Memory and queues before the first restart and after the last death."""
    last = course.looks[-1].at
    before = [look for look in course.looks if look.at < last * CALM_SHARE]
    after = [look for look in course.looks if look.at > last * (1 - CALM_SHARE)]
    yield "## Memory and queues"
    yield ""
    yield f"Medians of the first and the last {last * CALM_SHARE:.0f} s, which were calm, and the most there was."
    yield ""
    yield "| | first | last | most |"
    yield "|---|---|---|---|"
    for kind in (*KINDS, "proxy"):
        figures = [
            [size / MIB for look in looks for size in sizes(look, kind)] for looks in (before, after, course.looks)
        ]
        yield f"| {kind}, MiB each | {' | '.join(middle_and_most('.0f', *figures))} |"
    for lane in course.looks[0].queue_ages:
        ages = [[look.queue_ages[lane] for look in looks] for looks in (before, after, course.looks)]
        yield f"| oldest due row of lane `{lane}`, s | {' | '.join(middle_and_most('.1f', *ages))} |"
    open_ones = [[float(look.unfinished) for look in looks] for looks in (before, after, course.looks)]
    yield f"| unfinished predictions | {' | '.join(middle_and_most('.0f', *open_ones))} |"


def work(house: House, scene: Scene) -> Iterator[str]:
    """What a prediction costs in processor time, which tells what a machine can bear."""
    seconds = house.worked_seconds()
    each = {kind: total / len(scene.accepted) * 1000 for kind, total in seconds.items()}
    parts = ", ".join(f"{kind} {value:.0f} ms" for kind, value in each.items())
    yield "## Processor time"
    yield ""
    yield f"Each prediction cost the product {sum(each.values()):.0f} ms, the starts of processes among it: {parts}."
    yield "The database, the store, the sandbox and the creators come on top, on the same cores."


def sizes(look: Look, kind: str) -> list[int]:
    """Of the processes of one kind."""
    return [size for name, size in look.memory.items() if name.split()[0] == kind]


def middle_and_most(form: str, before: list[float], after: list[float], everything: list[float]) -> list[str]:
    """Two medians and a maximum."""
    values = (statistics.median(before or [0]), statistics.median(after or [0]), max(everything, default=0))
    return [f"{value:{form}}" for value in values]


def quantiles(seconds: Iterable[float]) -> list[str]:
    """Median, p95, p99 and the longest, in milliseconds or seconds."""
    ordered = sorted(seconds) or [0.0]
    found = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99, 1.0)]
    return [f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s" for value in found]
