"""B9: the time that our own work adds from submission to `succeeded` when the provider answers at once.

A: POST to our API until the prediction is `succeeded` in the database (file stored, asset entered, money settled).
B: the bare way, straight at the same provider: create with `Prefer: wait`, then GET the output.
B is measured twice in each round, interleaved with itself; where the two differ by more than a twentieth, the run
says nothing.
"""

import statistics
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import httpx

from benchmarks.looking import Look, looking
from benchmarks.place import Place
from benchmarks.product import Product, running_product
from benchmarks.rows import Pairs, Row, row

WARM_UP = 5
LOOK_SECONDS = 0.002
# Until the thumbnail of the last one is made: it is not part of what is measured, and must not be in its way.
PAUSE_SECONDS = 0.4
GIVE_UP_SECONDS = 30.0
GOAL_MS = 80.0
ENDED = {"succeeded", "failed", "lost", "canceled", "aborted"}
PROMPT = "a lighthouse in the rain, {}"


def measure(place: Place) -> Iterator[Row]:
    """The row of B9's added time; milliseconds."""
    rounds = place.rounds(full=30, quick=9)
    with running_product(place, "latency") as product:
        pairs = added(product, rounds)
    yield row(
        "B9",
        "added from submission to succeeded, p50",
        place.where,
        [seconds * 1000 for seconds in pairs.added],
        unit="ms",
        goal=GOAL_MS,
        reference=("create with Prefer: wait, GET output", statistics.median(pairs.bare) * 1000),
        same=pairs.same,
    )


def added(product: Product, rounds: int) -> Pairs:
    """One at a time, with a pause after each."""
    pairs = Pairs()
    with httpx.Client(timeout=GIVE_UP_SECONDS) as client, looking(product) as look:
        for turn in range(WARM_UP + rounds):
            first, last = bare_twice(client, product)
            own = ours_once(client, product, look)
            if turn >= WARM_UP:
                pairs.bare.append(first)
                pairs.ours.append(own)
                pairs.again.append(last)
            time.sleep(PAUSE_SECONDS)
    return pairs


def bare_twice(client: httpx.Client, product: Product) -> tuple[float, float]:
    """Seconds of the bare way, from two interleaved rows of seven: a single one is over in three thousandths."""
    found = [bare_once(client, product) for _ in range(1 + 2 * 7)][1:]  # after the pause, everything is cold
    return statistics.median(found[::2]), statistics.median(found[1::2])


def bare_once(client: httpx.Client, product: Product) -> float:
    """Seconds from the create to the last byte of the output."""
    began = time.perf_counter()
    answer = client.post(
        f"{product.provider_url}/v1/models/google/nano-banana/predictions",
        headers={"Authorization": "Bearer r8_benchmark", "Prefer": "wait"},
        json={"input": {"prompt": PROMPT.format(uuid4()), "output_format": "jpg"}},
    ).raise_for_status()
    output = answer.json()["output"]
    client.get(output if isinstance(output, str) else output[0]).raise_for_status()
    return time.perf_counter() - began


def ours_once(client: httpx.Client, product: Product, look: Look) -> float:
    """Seconds from the call to the commit of `succeeded`."""
    began = time.perf_counter()
    answer = client.post(
        f"{product.url}/api/generation/image",
        headers=product.person.bearer,
        json={"prompt": PROMPT.format(uuid4())},
    ).raise_for_status()
    prediction = UUID(answer.json()["predictionId"])
    while (found := status(look, prediction)) not in ENDED:
        if time.perf_counter() - began > GIVE_UP_SECONDS:
            raise TimeoutError(f"prediction {prediction} is still {found}")
        time.sleep(LOOK_SECONDS)
    if found != "succeeded":
        raise RuntimeError(f"prediction {prediction} ended {found}")
    return time.perf_counter() - began


def status(look: Look, prediction: UUID) -> str:
    """Its state in the database."""
    found = look("SELECT status FROM generation_prediction WHERE id = ?", prediction)
    return str(found[0]) if found else ""
