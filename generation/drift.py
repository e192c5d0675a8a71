"""Where the provider's figures imply another price than ours: what was quoted, what was booked, and why they part.

A price is wrong long before a bill says so. The signs are in each run's metrics
(https://replicate.com/docs/topics/billing, and `metrics` of the prediction object in the provider's API description).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings

from generation.models import Attempt, Prediction, Price
from generation.states import TERMINAL, Status

LOOK_BACK: Final = timedelta(days=30)
# The newest of these runs are looked at; enough to see a new price, and a bounded read.
MOST_RUNS: Final = 20_000
EXAMPLES: Final = 3
MOST_CASES: Final = 20

# What the provider bills by, and which of it our units are.
BILLED_BY: Final = (
    *("image_output_count", "video_output_count", "audio_output_count", "generic_output_count"),
    *("token_input_count", "token_output_count", "character_input_count", "character_output_count"),
    *("video_output_duration_seconds", "audio_output_duration_seconds", "video_output_total_pixel_count"),
    *("image_input_megapixel_count", "image_output_megapixel_count"),
    *("training_step_count", "unspecified_billing_metric"),
)
OURS: Final[Mapping[str, frozenset[str]]] = {
    Price.Unit.IMAGE: frozenset({"image_output_count"}),
    # A film that is charged by its length is one film all the same.
    Price.Unit.SECOND: frozenset({"video_output_duration_seconds", "video_output_count"}),
    Price.Unit.VIDEO: frozenset({"video_output_count", "video_output_duration_seconds"}),
}

SENTENCES: Final[Mapping[str, str]] = {
    "estimated": "no figures that our prices could use: the estimate was booked",
    "other_unit": "figures of a unit that our prices do not know",
    "other_size": "made in a size for which there is no price",
    "not_as_asked": "made in another size than asked for",
    "above_quote": "booked above what was reserved",
}


@dataclass
class Case:
    """One way to part from the quote: how often, and where to look."""

    kind: str
    detail: str = ""
    runs: int = 0
    examples: list[UUID] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """For an administrator."""
        return f"{SENTENCES[self.kind]}{f' ({self.detail})' if self.detail else ''}"


@dataclass
class ModelDrift:
    """The runs of one model: sums in micro-dollars, and the cases."""

    model: str
    runs: int = 0
    quoted_micros: int = 0
    booked_micros: int = 0
    cases: dict[tuple[str, str], Case] = field(default_factory=dict)

    def case(self, kind: str, detail: str) -> Case:
        """The case of that kind; what the provider writes makes no more than `MOST_CASES` of them."""
        key = (kind, detail)
        if key not in self.cases and len(self.cases) >= MOST_CASES:
            key = (kind, "various")
        return self.cases.setdefault(key, Case(*key))

    @property
    def difference_micros(self) -> int:
        """Booked less quoted; quotes are the dearest outcome, so that below zero is no sign of anything."""
        return self.booked_micros - self.quoted_micros

    @property
    def estimated_share(self) -> float:
        """The share of runs without usable figures, 0 to 1."""
        return self.cases.get(("estimated", ""), Case("estimated")).runs / self.runs if self.runs else 0.0

    @property
    def estimated_percent(self) -> int:
        """The same, whole."""
        return round(100 * self.estimated_share)

    @property
    def worst_first(self) -> Sequence[Case]:
        """The cases, the most frequent first."""
        return sorted(self.cases.values(), key=lambda case: -case.runs)


@dataclass(frozen=True)
class Report:
    """What was looked at, and what each model came to."""

    since: datetime
    provider: str
    models: Sequence[ModelDrift]
    cut: bool

    @property
    def drifts(self) -> bool:
        """Whether anything parts from the prices."""
        return any(model.cases for model in self.models)


def find_drift(*, now: datetime, provider: str | None = None) -> Report:
    """The charged runs of the last 30 days with `provider`, else the configured one, the newest `MOST_RUNS` of them."""
    provider = provider or settings.PROVIDER
    since = now - LOOK_BACK
    models: dict[str, ModelDrift] = {}
    runs = list(_runs(since, provider))
    for prediction, metrics in runs[:MOST_RUNS]:
        drift = models.setdefault(prediction.model, ModelDrift(prediction.model))
        drift.runs += 1
        drift.quoted_micros += prediction.estimated_micros
        drift.booked_micros += prediction.cost_micros or 0
        for kind, detail in _cases(prediction, metrics):
            case = drift.case(kind, detail)
            case.runs += 1
            case.examples += [prediction.pk] if len(case.examples) < EXAMPLES else []
    return Report(since, provider, sorted(models.values(), key=lambda drift: drift.model), len(runs) > MOST_RUNS)


def _runs(since: datetime, provider: str) -> Iterator[tuple[Prediction, Mapping[str, Any]]]:
    """Charged predictions, newest first, each with the figures of its last attempt; two statements."""
    wanted = Prediction.objects.filter(created_at__gte=since, cost_micros__gt=0, provider=provider)
    charged = list(
        wanted.filter(status__in=TERMINAL | {Status.STORING})
        .only("model", "input", "quote", "estimated_micros", "cost_micros", "cost_estimated")
        .order_by("-created_at")[: MOST_RUNS + 1]
    )
    metrics: dict[UUID, Mapping[str, Any]] = {}
    for part in _parts([prediction.pk for prediction in charged]):
        attempts = Attempt.objects.filter(prediction__in=part).order_by("number")
        metrics |= {key: value for key, value in attempts.values_list("prediction_id", "metrics") if value}
    for prediction in charged:
        yield prediction, metrics.get(prediction.pk, {})


def _parts(ids: Sequence[UUID], size: int = 5_000) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _cases(prediction: Prediction, metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """How one run parts from its quote; the rules are those that the prediction keeps."""
    rules = prediction.quote.get("rules", [])
    if prediction.cost_estimated:
        yield "estimated", ""
    ours: frozenset[str] = frozenset().union(*(OURS.get(rule["unit"], frozenset()) for rule in rules))
    others = [name for name in BILLED_BY if name not in ours and metrics.get(name)]
    if others:
        yield "other_unit", ", ".join(others)
    size, asked = metrics.get("resolution_target"), prediction.input.get("resolution")
    priced = {value for rule in rules for value in rule["conditions"].get("resolution", ())}
    if isinstance(size, str) and priced and size not in priced:
        yield "other_size", size[:40]
    elif isinstance(size, str) and asked and size != asked and priced:
        yield "not_as_asked", f"{asked} asked for, {size[:40]} made"
    if (prediction.cost_micros or 0) > prediction.estimated_micros:
        yield "above_quote", ""
