"""What made-up creators ask for, when, and how it ends: drawn from chances, so that a month looks like a month."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from generation import catalog, pricing
from generation.catalog.base import ModelSpec
from generation.demonstration.tables import Written
from generation.pricing import Quote
from generation.states import Status

PROMPTS: Final = (
    "a lighthouse in the rain, wide shot, dusk",
    "an empty diner at four in the morning, neon through steam",
    "two astronauts sharing an orange on a quiet pier",
    "close-up of hands repairing a clock, warm side light",
    "a red tram climbing a hill in fog, telephoto",
    "the same street in winter, handheld, slow push in",
    "a fox asleep on a pile of film cans",
    "storyboard frame: she opens the door and the sea is behind it",
    "a greenhouse at night lit from inside",
    "product shot of a ceramic cup on wet slate",
)
# Model, the inputs beside the prompt, and how often it is asked for.
OFFERS: Final[Sequence[tuple[str, dict[str, Any], float]]] = (
    ("google/nano-banana", {}, 46),
    ("black-forest-labs/flux-schnell", {}, 30),
    ("bytedance/seedance-1-lite", {"duration": 5}, 11),
    ("bytedance/seedance-1-lite", {"duration": 5, "resolution": "1080p"}, 3),
    ("bytedance/seedance-1-pro-fast", {"duration": 5}, 7),
    ("bytedance/seedance-1-pro-fast", {"duration": 10, "resolution": "720p"}, 3),
)
# What becomes of a hundred pictures and of a hundred films.
ENDS: Final[dict[str, Sequence[tuple[Status, float]]]] = {
    "image": (
        (Status.SUCCEEDED, 95.4),
        (Status.FAILED, 2.6),
        (Status.CANCELED, 1.5),
        (Status.ABORTED, 0.2),
        (Status.LOST, 0.3),
    ),
    "video": (
        (Status.SUCCEEDED, 88.0),
        (Status.FAILED, 6.0),
        (Status.CANCELED, 4.6),
        (Status.ABORTED, 0.8),
        (Status.LOST, 0.6),
    ),
}
FAILURES: Final = (
    ("sensitive", "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"),
    ("provider_error", "Prediction failed: the model could not finish this one."),
    ("out_of_memory", "CUDA out of memory. (E1001)"),
)
# A share of the work of each hour of a day, from midnight on, and of each day of a week, from Monday on.
HOURS: Final = (1, 0, 0, 0, 0, 0, 1, 3, 7, 11, 12, 10, 6, 8, 11, 12, 11, 9, 6, 4, 4, 4, 3, 2)
WEEK: Final = (1.0, 1.1, 1.15, 1.05, 0.9, 0.35, 0.25)
RETRIED: Final = 0.02
ESTIMATED: Final = 0.06
CORRECTED: Final = 0.006
# How long after a run its correction comes.
LATER: Final = timedelta(hours=20)


@dataclass(frozen=True)
class Offer:
    """A model with inputs and their price."""

    spec: ModelSpec
    inputs: dict[str, Any]
    quote: Quote
    quote_written: Written
    input_written: dict[str, Written]


@dataclass(frozen=True)
class Run:
    """One prediction from first to last.

    `charged` says whether the provider bills it: what it made, and what was canceled while it ran. `correction` is
    what was booked later, None: nothing.
    """

    user: int
    at: datetime
    offer: Offer
    prompt: str
    status: Status
    waited: timedelta
    ran: timedelta
    started: bool
    retried: bool
    charged: bool
    micros: int
    estimated: bool
    correction: int | None
    failure: tuple[str, str] = ("", "")

    @property
    def ends_at(self) -> datetime:
        return self.at + self.waited + self.ran


def offers(*, now: datetime) -> tuple[list[Offer], list[float]]:
    """The catalog's models at the prices in force, and how often each is asked for."""
    found, weights = [], []
    for model, more, weight in OFFERS:
        spec = catalog.get(model)
        inputs = catalog.parse(spec, {"prompt": PROMPTS[0], **more}).inputs
        quote = pricing.quote(spec=spec, inputs=inputs, now=now)
        asked = {prompt: Written(json.dumps(inputs | {"prompt": prompt})) for prompt in PROMPTS}
        found.append(Offer(spec, inputs, quote, Written(json.dumps(quote.as_json())), asked))
        weights.append(weight)
    return found, weights


def moments(draw: random.Random, *, count: int, begins: datetime, ends: datetime) -> list[datetime]:
    """`count` moments in order: working days, working hours, and a little more each week."""
    hours = [begins + timedelta(hours=n) for n in range(max(1, int((ends - begins) / timedelta(hours=1))))]
    weights = [
        (HOURS[hour.hour] + 0.2) * WEEK[hour.weekday()] * (1 + 0.6 * index / len(hours))
        for index, hour in enumerate(hours)
    ]
    picked = draw.choices(hours, weights, k=count)
    return sorted(hour + timedelta(seconds=draw.randrange(3600), microseconds=draw.randrange(10**6)) for hour in picked)


def runs(
    draw: random.Random,
    *,
    at: Sequence[datetime],
    users: Sequence[float],
    now: datetime,
    corrected: float = CORRECTED,
) -> Iterator[Run]:
    """A run for each moment; `users` are the shares of the users, known by their places."""
    offered, weights = offers(now=now)
    places = range(len(users))
    for moment in at:
        offer = draw.choices(offered, weights)[0]
        later = corrected if moment + LATER * 2 < now else 0.0
        yield _run(draw, moment, draw.choices(places, users)[0], offer, later)


def _run(draw: random.Random, at: datetime, user: int, offer: Offer, corrected: float) -> Run:
    ends = ENDS[offer.spec.type]
    status = draw.choices([end for end, _ in ends], [share for _, share in ends])[0]
    started = status is not Status.ABORTED and (status is not Status.CANCELED or draw.random() < 0.6)
    ran = timedelta(seconds=offer.spec.usual_seconds * draw.uniform(0.7, 1.6)) if started else timedelta(seconds=9)
    charged = status in (Status.SUCCEEDED, Status.LOST) or (status is Status.CANCELED and started)
    micros = offer.quote.amount_micros if charged else 0
    change = round(offer.quote.amount_micros * draw.uniform(-0.1, 0.1)) if charged else 0
    return Run(
        user=user,
        at=at,
        offer=offer,
        prompt=draw.choice(PROMPTS),
        status=status,
        waited=timedelta(seconds=draw.uniform(0.2, 3.0)),
        ran=ran,
        started=started,
        retried=status is not Status.ABORTED and draw.random() < RETRIED,
        charged=charged,
        micros=micros,
        estimated=charged and (status is Status.CANCELED or draw.random() < ESTIMATED),
        correction=change if draw.random() < corrected else None,
        failure=draw.choice(FAILURES) if status is Status.FAILED else ("", ""),
    )
