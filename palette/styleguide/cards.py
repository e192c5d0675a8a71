"""The generation card in every state that it can be in, from predictions that no table has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final, TypeAlias

from django.conf import settings

from gallery.models import Asset
from generation import catalog
from generation.models import Output, Prediction
from generation.states import Status
from generation.web.cards import Card
from generation.web.runs import Runs, Shown
from generation.work.places import Place
from palette.styleguide.pictures import film, picture

BANANA: Final = "google/nano-banana"
SEEDANCE: Final = "bytedance/seedance-1-lite"
FLUX: Final = "black-forest-labs/flux-schnell"

More: TypeAlias = dict[str, Any]


@dataclass
class Maker:
    """Makes cards as they are at `now`, numbered one after the other."""

    now: datetime
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def card(
        self,
        status: Status,
        prompt: str,
        *,
        model: str = BANANA,
        ratio: str = "16:9",
        seconds_ago: float = 0,
        made: Sequence[Asset] = (),
        lost: int = 0,
        place: Place | None = None,
        doubtful: bool = False,
        **fields: Any,
    ) -> Card:
        """A prediction that began so long ago, what has been `made` of it, and how many files were `lost`."""
        spec = catalog.get(model)
        began = self.now - timedelta(seconds=seconds_ago)
        given: More = {"provider": "replicate", "submitted_at": began, "started_at": began, **fields}
        prediction = Prediction(
            number=next(self.numbers),
            type=spec.type,
            status=status,
            model=model,
            prompt=prompt,
            input={"aspect_ratio": ratio, **({"duration": 5} if spec.type == "video" else {})},
            estimated_micros=39_000 if spec.type == "image" else 180_000,
            created_at=began,
            **given,
        )
        outputs = [Output(prediction=prediction, index=index, asset=asset) for index, asset in enumerate(made)]
        outputs += [Output(prediction=prediction, index=len(outputs) + n, state=Output.State.LOST) for n in range(lost)]
        return Card(prediction, spec, outputs, place, doubtful, self.now)

    def ended(self, status: Status, prompt: str, *, ran: float = 8.2, cost_micros: int = 0, **more: Any) -> Card:
        """One that is over: it ran for so many seconds, and cost so much."""
        ended_at = self.now - timedelta(minutes=4)
        began: More = {"seconds_ago": 240 + ran, "completed_at": ended_at, "cost_micros": cost_micros}
        return self.card(status, prompt, **began, **more)


def every_state(make: Maker) -> list[tuple[str, Shown]]:
    """Each state by its name, in the order of a run's life."""
    return [*_waiting(make), *_running(make), *_made(make), *_not_made(make), *_together(make)]


def _waiting(make: Maker) -> list[tuple[str, Shown]]:
    unsent: More = {"submitted_at": None, "started_at": None}
    third = Place(position=3, waiting=12, starts_in_seconds=40, own_running=0)
    behind = Place(position=1, waiting=4, starts_in_seconds=8, own_running=settings.MAX_IN_FLIGHT_PER_USER)
    paused = Place(position=0, waiting=4, starts_in_seconds=None, own_running=0, paused="prices are being checked.")
    say = make.card
    return [
        ("waiting for a slot", say(Status.QUEUED, "A ferry crossing a violet bay at dusk", place=third, **unsent)),
        ("waiting for one's own", say(Status.QUEUED, "The same ferry, from the pier", place=behind, **unsent)),
        ("paused", say(Status.QUEUED, "The same ferry, by night", place=paused, **unsent)),
        ("on its way", say(Status.QUEUED, "Rope and tar on a wet deck", seconds_ago=2, started_at=None)),
        ("confirming", say(Status.QUEUED, "A jade valley mirrored in a lake", seconds_ago=21, doubtful=True)),
    ]


def _running(make: Maker) -> list[tuple[str, Shown]]:
    upright: More = {"model": SEEDANCE, "ratio": "9:16"}
    paid: More = {"seconds_ago": 12, "cost_micros": 39_000}
    long: More = {"model": SEEDANCE, "seconds_ago": 252}
    say, busy = make.card, Status.PROCESSING
    return [
        ("cancel asked", say(busy, "Grass in the wind, macro", seconds_ago=4, cancel_requested_at=make.now)),
        ("starting at the provider", say(Status.STARTING, "A still life on a wet deck", ratio="3:2", seconds_ago=6)),
        ("processing, with a percentage", say(busy, "Rose mountains", seconds_ago=7, progress=0.64)),
        ("processing, by the clock", say(busy, "The stars hold still", seconds_ago=24, **upright)),
        ("saving", say(Status.STORING, "A blue planet with one red ring", ratio="4:5", **paid)),
        ("longer than usual", say(busy, "A train window at night", **long)),
    ]


def _made(make: Maker) -> list[tuple[str, Shown]]:
    def of(*names: str, **fields: Any) -> More:
        return {"made": [picture(name, now=make.now) for name in names], "cost_micros": 39_000, **fields}

    moving: More = {
        "made": [film("sea", now=make.now, seconds=5)],
        "cost_micros": 180_000,
        "ran": 74,
        "model": SEEDANCE,
    }
    four = of("vases", "window", "vases", "window", cost_micros=12_000, model=FLUX, ratio="1:1", ran=2.1)
    changed: More = {"warnings": ["The model does not know 21:9; it made 16:9."]}
    say, done = make.ended, Status.SUCCEEDED
    return [
        ("succeeded, a picture", say(done, "A still lake at blue hour between folded mountains", **of("lake"))),
        ("succeeded, a film", say(done, "Low sun over a calm sea, long lens, haze on the horizon", **moving)),
        ("succeeded, several files", say(done, "Three vases on a linen table", **four)),
        ("succeeded, some files lost", say(done, "Vases against slate", lost=1, ratio="1:1", **of("vases"))),
        ("succeeded, with a warning", say(done, "Mountains, mirrored", **of("mountains"), **changed)),
        ("succeeded, simulated", say(done, "City skyline at dusk", ratio="21:9", provider="sandbox", **of("skyline"))),
        ("succeeded, and gone since", say(done, "A still life on slate", cost_micros=39_000)),
    ]


def _not_made(make: Maker) -> list[tuple[str, Shown]]:
    memory: More = {"error_code": "out_of_memory"}
    unusable: More = {"error_code": "file_unusable", "cost_micros": 39_000}
    late: More = {"error_code": "storage_unavailable", "cost_micros": 39_000}
    saved: More = {"made": [picture("rope", now=make.now)], "ratio": "3:2", **late}
    billed: More = {"model": SEEDANCE, "cost_micros": 48_000}
    say = make.ended
    return [
        ("failed, not charged", say(Status.FAILED, "A night market in the rain, reflections", **memory)),
        ("failed, charged", say(Status.FAILED, "A poster in four scripts", ratio="2:3", **unusable)),
        ("flagged as sensitive", say(Status.FAILED, "Two boxers in the last round", error_code="sensitive")),
        ("canceled, not charged", say(Status.CANCELED, "Grass in the wind, wrong lens")),
        ("canceled, charged", say(Status.CANCELED, "The camera drifts to the left", **billed)),
        ("given up by the provider", say(Status.ABORTED, "A door that opens on the sea", error_code="timed_out")),
        ("lost", say(Status.LOST, "Harbour cranes in fog", ratio="4:3", **late)),
        ("lost, and saved after all", say(Status.LOST, "Rope on a wet deck", **saved)),
    ]


def _together(make: Maker) -> list[tuple[str, Shown]]:
    words = "Mountains at the end of the day"

    def run(name: str) -> Card:
        made: More = {"made": [picture(name, now=make.now)], "cost_micros": 39_000}
        return make.ended(Status.SUCCEEDED, words, **made)

    under_way = [
        run("lake"),
        make.card(Status.PROCESSING, words, seconds_ago=6, progress=0.4),
        make.ended(Status.FAILED, words, error_code="provider_error"),
        make.card(Status.STARTING, words, seconds_ago=2),
    ]
    return [
        ("several runs, under way", Runs(under_way)),
        ("several runs, done", Runs([run("lake"), run("mountains")])),
    ]
