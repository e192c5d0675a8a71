"""B10: fifty requests at once of one user, who all want the same quota, beside fifty of as many users."""

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from uuid import uuid4

import httpx

from benchmarks.looking import looking
from benchmarks.place import Place
from benchmarks.product import UNLIMITED, Person, Product, people, running_product
from benchmarks.recovery import quiet
from benchmarks.rows import Row, interleaved, row

AT_ONCE = 50
LEAST_RATIO = 0.3


def measure(place: Place) -> Iterator[Row]:
    """One row; each round is over when all that it asked for is done."""
    each = place.rounds(full=4, quick=1)
    with running_product(place, "contention", UNLIMITED) as product, looking(product) as look, ExitStack() as held:
        errors: list[str] = []
        crowd = people(product, AT_ONCE)
        clients = [held.enter_context(httpx.Client(base_url=product.url, timeout=120)) for _ in crowd]
        ask = partial(asked, product, clients, each, errors)
        pairs = interleaved(
            ours=lambda: ask(crowd[:1] * AT_ONCE),
            bare=lambda: ask(crowd),
            rounds=place.rounds(full=9, quick=2),
            pause=partial(quiet, look),
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


def asked(
    product: Product, clients: Sequence[httpx.Client], each: int, errors: list[str], crowd: Sequence[Person]
) -> float:
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
