"""The rows of a made-up run: its prediction, its attempts, its timeline, its files, and what webhooks said of it."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from generation.demonstration.story import Run
from generation.demonstration.tables import Row
from generation.models import Output, WebhookDelivery
from generation.states import FROM_REPLICATE, OPEN_AT_PROVIDER, Status

REPLICATES: Final = {ours: theirs for theirs, ours in FROM_REPLICATE.items()} | {
    Status.SUCCEEDED: "succeeded",
    Status.LOST: "succeeded",
}
KEPT: Final = timedelta(hours=1)
STORED_AFTER: Final = timedelta(seconds=2)


class Ids:
    """Random ids that a seed repeats."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def uuid(self) -> UUID:
        return UUID(int=self._draw.getrandbits(128), version=4)

    def at(self, run: Run) -> UUID:
        """An id that sorts by the run's time, as a prediction's does."""
        milliseconds = int(run.at.timestamp() * 1000)
        number = (milliseconds << 80) | (0x7 << 76) | (self._draw.getrandbits(12) << 64) | (0b10 << 62)
        return UUID(int=number | self._draw.getrandbits(62))

    def word(self) -> str:
        """As the provider names things."""
        return f"{self._draw.getrandbits(130):026x}"


def prediction(run: Run, pk: UUID, *, number: int, user_id: int, provider: str) -> Row:
    """The row itself; of one that is not over yet, with a time at which it wants attention."""
    is_open = run.status in OPEN_AT_PROVIDER
    sent = None if run.status is Status.QUEUED else run.at + run.waited
    return {
        "id": pk,
        "user_id": user_id,
        "number": number,
        "type": run.offer.spec.type,
        "status": str(run.status),
        "provider": provider,
        "model": run.offer.spec.id,
        "prompt": run.prompt,
        "input": run.offer.input_written[run.prompt],
        "estimated_micros": run.offer.quote.amount_micros,
        "quote": run.offer.quote_written,
        "cost_micros": None if is_open else run.micros,
        "cost_estimated": run.estimated,
        "error_code": "file_expired" if run.status is Status.LOST else run.failure[0],
        "error_message": run.failure[1],
        "created_at": run.at,
        "submitted_at": sent,
        "started_at": sent if run.started else None,
        "completed_at": None if is_open else run.ends_at,
        "cancel_requested_at": run.ends_at if run.status is Status.CANCELED else None,
        "due_at": (run.at if sent is None else sent + run.ran) if is_open else None,
    }


def attempts(run: Run, pk: UUID, references: Sequence[UUID], ids: Ids, *, provider: str) -> Iterator[Row]:
    """Each create at the provider; all but the last have failed there for the moment."""
    for number, reference in enumerate(references, 1):
        last = reference == references[-1]
        sent = run.status is not Status.QUEUED or not last
        over = not last or run.status not in OPEN_AT_PROVIDER
        ends_at = run.ends_at if last else run.at + run.waited
        word = (REPLICATES.get(run.status, "") if last else "failed") if sent else ""
        name = ids.word() if sent else None
        yield {
            "id": reference,
            "prediction_id": pk,
            "number": number,
            "provider": provider,
            "created_at": run.at,
            "sent_input": run.offer.input_written[run.prompt] if sent else None,
            "cancel_after_seconds": 1800 if sent else None,
            "address_token": ids.word(),
            "submitted_at": run.at if sent else None,
            "provider_id": name,
            "provider_status": word,
            "answer": {"id": name, "status": word, "model": run.offer.spec.id} if sent else None,
            "metrics": {"predict_time": round(run.ran.total_seconds(), 3)} if over and run.started else {},
            "deadline_at": run.at + timedelta(minutes=30) if sent else None,
            "started_at": run.at + run.waited if run.started and sent else None,
            "looked_at": ends_at if sent else None,
            "completed_at": ends_at if over else None,
            "closed_at": ends_at if over else None,
            "error": (run.failure[1] if last else "Service unavailable, please retry. (E9828)") if over else "",
        }


def events(run: Run, pk: UUID, *, user_id: int) -> Iterator[Row]:
    """The timeline."""

    def said(name: str, at: Any) -> Row:
        return {"prediction_id": pk, "user_id": user_id, "name": name, "created_at": at}

    yield said(Status.QUEUED.value, run.at)
    if run.status is Status.QUEUED:
        return
    if run.retried:
        yield said("requeued", run.at + run.waited)
    if run.started:
        yield said(Status.PROCESSING.value, run.at + run.waited)
    if run.status in OPEN_AT_PROVIDER:
        return
    if run.status is Status.CANCELED:
        yield said("cancel_requested", run.ends_at - STORED_AFTER / 2)
    if run.status in (Status.SUCCEEDED, Status.LOST):
        yield said(Status.STORING.value, run.ends_at - STORED_AFTER)
        yield said("output_stored" if run.status is Status.SUCCEEDED else "output_lost", run.ends_at)
    yield said(run.status.value, run.ends_at)


def output(run: Run, pk: UUID, attempt: UUID, *, origin: str) -> Row:
    """The file of a success; its asset has been purged since, so that nothing is missing in the store."""
    stored = run.status is Status.SUCCEEDED
    return {
        "prediction_id": pk,
        "attempt_id": attempt,
        "index": 0,
        "url": f"{origin}/demonstration/{pk}/output",
        "state": (Output.State.STORED if stored else Output.State.LOST).value,
        "error_code": "" if stored else "file_expired",
        "expires_at": run.ends_at + KEPT,
    }


def delivery(run: Run, attempt: Row, *, applied: bool) -> Row:
    """What the provider's webhook said in the end; one in a hundred came for nobody."""
    return {
        "webhook_id": f"msg_{attempt['id'].hex}",
        "received_at": run.ends_at,
        "body": json.dumps(attempt["answer"]).encode(),
        "address_prediction": str(attempt["prediction_id"]),
        "outcome": (WebhookDelivery.Outcome.APPLIED if applied else WebhookDelivery.Outcome.UNKNOWN).value,
    }
