"""B10: fifty requests at once of one user, who all want the same quota, beside fifty of as many users."""

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import httpx

from benchmarks.place import Place
from benchmarks.product import UNLIMITED, Person, people, running_product
from benchmarks.rows import Row, interleaved, row

AT_ONCE = 50
LEAST_RATIO = 0.3


def measure(place: Place) -> Iterator[Row]:
    """One row. The worker is ended first: what was asked for only waits, and is in nobody's way."""
    each = place.rounds(full=2, quick=1)
    with running_product(place, "contention", UNLIMITED) as product, ExitStack() as held:
        product.processes["worker"].terminate()
        product.processes["worker"].wait(30)
        errors: list[str] = []
        crowd = people(product, AT_ONCE)
        clients = [held.enter_context(httpx.Client(base_url=product.url, timeout=120)) for _ in crowd]
        ask = partial(asked, clients, each, errors)
        pairs = interleaved(
            ours=lambda: ask(crowd[:1] * AT_ONCE),
            bare=lambda: ask(crowd),
            rounds=place.rounds(full=9, quick=2),
        )
    yield row(
        "B10",
        f"{AT_ONCE} requests at once of one user, to those of {AT_ONCE}",
        place.where,
        pairs.ratios,
        unit="ratio",
        goal=LEAST_RATIO,
        better="higher",
        reference=(f"taken of {AT_ONCE} users, /s", statistics.median(pairs.bare)),
        same=pairs.same,
        void=errors[0] if errors else "",
    )


def asked(clients: Sequence[httpx.Client], each: int, errors: list[str], crowd: Sequence[Person]) -> float:
    """Requests a second that were taken, of people who each ask `each` times, all at once."""

    def one(client: httpx.Client, person: Person) -> None:
        for _ in range(each):
            prompt = {"prompt": f"a lighthouse in the rain, {uuid4()}"}
            answer = client.post("/api/generation/image", headers=person.bearer, json=prompt)
            if not answer.is_success:
                errors.append(f"{answer.status_code} {answer.text[:200]}")

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, clients, crowd))
    return each * AT_ONCE / (time.perf_counter() - began)
