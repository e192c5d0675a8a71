"""One prediction's story for administrators: what happened when, what the provider answered, what it cost."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from accounts.models import LedgerEntry
from accounts.money import dollars
from generation import errors
from generation.models import Attempt, Output, Prediction, PredictionEvent

# The newest of these are shown; a run writes a handful, a stuck one may write many.
MOST_EVENTS: Final = 200
LONGEST_TEXT: Final = 500
LONGEST_ANSWER: Final = 20_000
MOST_ITEMS: Final = 50
LONGEST_LOGS: Final = 4_000
HIDDEN: Final = "•••"

WORDS: Final[Mapping[str, str]] = {
    "queued": "Asked for; in the queue",
    "confirming": "Sent, and not known under which id: asking the provider",
    "starting": "Taken by the provider",
    "processing": "Running",
    "storing": "Made and paid for; the files are being saved",
    "succeeded": "Done: every file was saved or given up, and at least one is here",
    "lost": "Paid for, and no file could be saved",
    "failed": "Failed; not charged unless the books say so",
    "canceled": "Canceled",
    "aborted": "Not started in time; not charged",
    "cancel_requested": "A cancel was asked for",
    "keep_waiting": "The creator chose to keep waiting",
    "requeued": "A fault that passes by itself: back in the queue with a new attempt",
    "found_later": "Found at the provider after it was given up: its cost is booked, its files are saved",
    "store_again": "An administrator asked for its files to be stored again",
    "derived": "Thumbnail and poster made",
}


@dataclass(frozen=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    words: str
    detail: str = ""


@dataclass(frozen=True)
class Try:
    """An attempt with the provider's raw answer, ready to be read."""

    attempt: Attempt
    answer: str
    sent: str
    logs: str
    entries: Sequence[LedgerEntry]

    @property
    def money(self) -> list[str]:
        """Its ledger entries in words."""
        return [
            f"{entry.kind} {dollars(entry.amount_micros)}{' (estimated)' if entry.estimated else ''}"
            f"{': ' + entry.reason if entry.reason else ''}"
            for entry in self.entries
        ]


@dataclass(frozen=True)
class Story:
    """Everything that belongs to one prediction, in five statements."""

    tries: Sequence[Try]
    outputs: Sequence[Output]
    moments: Sequence[Moment]
    left_out: bool


def story(prediction: Prediction) -> Story:
    """Attempts, files, entries and events of `prediction`."""
    attempts = list(prediction.attempts.order_by("number"))
    entries = list(LedgerEntry.objects.filter(reference__in=[attempt.pk for attempt in attempts]).order_by("id"))
    tokens = [attempt.address_token for attempt in attempts]
    tries = [
        Try(
            attempt,
            pretty(attempt.answer, hide=tokens),
            pretty(attempt.sent_input, hide=tokens),
            attempt.logs[-LONGEST_LOGS:],
            [entry for entry in entries if entry.reference == attempt.pk],
        )
        for attempt in attempts
    ]
    events = list(prediction.events.order_by("-id")[: MOST_EVENTS + 1])
    moments = [*_of_events(events[:MOST_EVENTS]), *_of_attempts(attempts)]
    outputs = list(prediction.outputs.select_related("asset").order_by("index"))
    return Story(tries, outputs, sorted(moments, key=lambda moment: moment.at), len(events) > MOST_EVENTS)


def _of_events(events: Iterable[PredictionEvent]) -> Iterable[Moment]:
    for event in reversed(list(events)):
        code = event.data.get("code", "") if isinstance(event.data, dict) else ""
        if event.name == "progress":
            yield Moment(event.created_at, f"{event.data.get('progress', 0):.0%} done")
        elif event.name == "output_stored":
            yield Moment(event.created_at, f"File {event.data.get('index', 0) + 1} saved")
        elif event.name == "output_lost":
            yield Moment(event.created_at, "A file was given up", errors.sentence(code))
        else:
            detail = errors.SENTENCES.get(code, code)
            yield Moment(event.created_at, WORDS.get(event.name, event.name.replace("_", " ")), detail)


def _of_attempts(attempts: Iterable[Attempt]) -> Iterable[Moment]:
    for attempt in attempts:
        name = f"Attempt {attempt.number}"
        if attempt.submitted_at:
            yield Moment(attempt.submitted_at, f"{name} sent to {attempt.provider}", attempt.provider_id or "")
        if attempt.completed_at and attempt.provider_status:
            yield Moment(attempt.completed_at, f"{name} ended there: {attempt.provider_status}", attempt.error[:200])
        elif attempt.closed_at:
            yield Moment(attempt.closed_at, f"{name} was given up")


def pretty(value: Any, *, hide: Iterable[str] = ()) -> str:
    """JSON to be read: long texts and long answers cut, and what nobody may see hidden."""
    if value is None:
        return ""
    text = json.dumps(_shortened(value, [secret for secret in hide if secret]), indent=2, ensure_ascii=False)
    return text if len(text) <= LONGEST_ANSWER else f"{text[:LONGEST_ANSWER]}\n… {len(text):,} characters in all"


def _shortened(value: Any, hide: Sequence[str]) -> Any:
    if isinstance(value, str):
        for secret in hide:
            value = value.replace(secret, HIDDEN)
        return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}… ({len(value):,} characters)"
    if isinstance(value, dict):
        return {key: _shortened(item, hide) for key, item in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value) - MOST_ITEMS:,} more"] if len(value) > MOST_ITEMS else []
        return [_shortened(item, hide) for item in value[:MOST_ITEMS]] + more
    return value
