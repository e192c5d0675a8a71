"""The life of predictions: begin, log, finish, cancel, deadline, erasure; all planned, all surviving a restart."""

import shutil
from typing import Any

from generation.sandbox import presentation
from generation.sandbox.making import Studio
from generation.sandbox.models import Model
from generation.sandbox.state import TERMINAL, Prediction, Store, new_id, now
from generation.sandbox.timing import Pace, Timetable
from generation.sandbox.webhooks import Courier

LOGS_EVERY_SECONDS = 0.5
LONGEST_RUN_SECONDS = 30 * 60.0


class Engine:
    """Moves predictions forward. Every step looks first whether it is still due, so doing one twice does no harm."""

    def __init__(
        self,
        store: Store,
        *,
        pace: Pace,
        timetable: Timetable,
        courier: Courier,
        studio: Studio,
        base: str,
        retention_seconds: float,
    ) -> None:
        self.store, self.pace, self.timetable, self.courier, self.studio = store, pace, timetable, courier, studio
        self.base, self.retention_seconds = base, retention_seconds

    def resume(self) -> None:
        """Plan the next step of everything that a former process left."""
        for prediction in self.store.not_erased():
            self.plan(prediction)

    def plan(self, prediction: Prediction) -> None:
        """Plan what comes next for one prediction."""
        key = prediction.id
        if prediction.completed_at is not None:
            self.timetable.at(prediction.completed_at + self.retention_seconds, lambda: self.erase(key))
            return
        if prediction.deadline is not None and not prediction.fault.get("outcome", {}).get("ignores_deadline"):
            self.timetable.at(prediction.deadline, lambda: self.expire(key))
        if prediction.started_at is None:
            self.timetable.at(prediction.created_at + prediction.queue_seconds, lambda: self.begin(key))
        else:
            self.work(prediction)

    def create(
        self,
        *,
        model: Model,
        version: str,
        input: dict[str, Any],
        cancel_after: float | None,
        webhook: str,
        events: list[str],
        fault: dict[str, Any],
    ) -> Prediction:
        """A new prediction, on its way."""
        identity, moment = new_id(), now()
        queue, run = self.pace.seconds(model.kind, identity)
        prediction = Prediction(
            id=identity,
            model=model.name,
            version=version,
            kind=model.kind,
            list_output=model.output == "list",
            created_at=moment,
            queue_seconds=float(fault.get("seconds", {}).get("queue", queue)),
            run_seconds=float(fault.get("seconds", {}).get("run", run)),
            input=input,
            deadline=moment + cancel_after if cancel_after is not None else None,
            webhook=webhook,
            events=events,
            fault=fault,
        )
        self.store.add(prediction)
        self.plan(prediction)
        return prediction

    def begin(self, id: str) -> None:
        """starting → processing."""
        with self.store.changing(id) as prediction:
            outcome = prediction.fault.get("outcome", {})
            if prediction.ended or prediction.started_at is not None or outcome.get("hang") == "starting":
                return
            if outcome.get("status") == "aborted":
                self.end(prediction, "aborted")
                return
            prediction.status = outcome.get("running_as", "processing")
            prediction.started_at = now()
            self.tell(prediction, "start")
        self.work(prediction)

    def work(self, prediction: Prediction) -> None:
        """Have the files made and the end called, unless a fault wants another end."""
        key, outcome = prediction.id, prediction.fault.get("outcome", {})
        assert prediction.started_at is not None
        self.timetable.at(prediction.started_at + LONGEST_RUN_SECONDS, lambda: self.expire(key))
        if prediction.webhook and "logs" in prediction.events:
            self.timetable.at(now() + LOGS_EVERY_SECONDS, lambda: self.tell_logs(key))
        if outcome.get("hang"):
            return
        due = prediction.started_at + prediction.run_seconds
        word = outcome.get("status", "succeeded")
        if word == "succeeded":
            self.studio.order(prediction, lambda names, error: self.made(key, names, error, due))
        else:
            self.timetable.at(due, lambda: self.finish(key, word, [], outcome.get("error", "")))

    def made(self, id: str, names: list[str], error: str, due: float) -> None:
        """The files are there, or could not be made: the run ends when it was to end, not sooner."""
        word = "failed" if error else "succeeded"
        if due <= now():
            self.finish(id, word, names, error)
        else:
            self.timetable.at(due, lambda: self.finish(id, word, names, error))

    def finish(self, id: str, word: str, names: list[str], error: str) -> None:
        """processing → its end; a word that is no end of Replicate's leaves it open for ever."""
        if self.store.get(id) is None:
            return
        with self.store.changing(id) as prediction:
            if prediction.ended or prediction.status in TERMINAL:
                return
            prediction.files = names
            if word in TERMINAL:
                self.end(prediction, word, error=error)
            else:
                prediction.status = word
                self.tell(prediction, "completed")

    def cancel(self, id: str) -> Prediction:
        """Asked to end; an ended one stays as it is. Raises KeyError."""
        with self.store.changing(id) as prediction:
            if not prediction.ended and not prediction.fault.get("outcome", {}).get("ignores_cancel"):
                self.end(prediction, "canceled")
            return prediction

    def expire(self, id: str) -> None:
        """The deadline has come: aborted (free) before the start, canceled (charged) after it."""
        with self.store.changing(id) as prediction:
            if not prediction.ended:
                self.end(prediction, "aborted" if prediction.started_at is None else "canceled")

    def end(self, prediction: Prediction, word: str, *, error: str = "") -> None:
        """Write down the end of a prediction that is being changed, and tell of it."""
        moment = now()
        prediction.logs = presentation.logs(prediction, now=moment)
        if word == "succeeded":
            prediction.logs = presentation.log_lines(prediction, share=1.0)
        prediction.status, prediction.completed_at = word, moment
        if word == "failed":
            prediction.error = error or "Prediction failed"
        prediction.metrics = metrics(prediction)
        if word == "succeeded":
            self.tell(prediction, "output")
        # Nowhere does Replicate say that an aborted prediction is told of; whoever relies on it loses.
        if word != "aborted":
            self.tell(prediction, "completed")
        self.timetable.at(moment + self.retention_seconds, lambda: self.erase(prediction.id))

    def tell_logs(self, id: str) -> None:
        """The log's webhook, twice a second while it runs."""
        prediction = self.store.get(id)
        if prediction is not None and not prediction.ended:
            self.tell(prediction, "logs")
            self.timetable.at(now() + LOGS_EVERY_SECONDS, lambda: self.tell_logs(id))

    def tell(self, prediction: Prediction, event: str) -> None:
        """Send the event's webhook, if it was asked for; a fault may turn the order round."""
        if not prediction.webhook or event not in prediction.events:
            return
        fault = prediction.fault.get("webhooks", {})
        told = {"event": event, "body": presentation.dumps(prediction, base=self.base, now=now())}
        if fault.get("reversed") and event != "completed":
            prediction.held.append(told)
            return
        late = [] if event != "completed" else prediction.held[::-1]
        for place, item in enumerate([told, *late]):
            self.courier.send(
                prediction=prediction.id,
                event=item["event"],
                url=prediction.webhook,
                body=item["body"],
                fault=fault,
                wait=0.2 * place,
            )

    def erase(self, id: str) -> None:
        """Forget input, output and logs; id, state, times and metrics stay."""
        shutil.rmtree(self.studio.folder(id), ignore_errors=True)
        self.store.erase_input(id)
        with self.store.changing(id) as prediction:
            prediction.erased, prediction.logs, prediction.held, prediction.files = True, "", [], []


def metrics(prediction: Prediction) -> dict[str, Any]:
    """Times, and of a success what is billed, by Replicate's names."""
    assert prediction.completed_at is not None
    found: dict[str, Any] = {"total_time": round(prediction.completed_at - prediction.created_at, 6)}
    if prediction.started_at is not None:
        found["predict_time"] = round(prediction.completed_at - prediction.started_at, 6)
    if prediction.status == "succeeded":
        found |= billed(prediction)
    fault = prediction.fault.get("metrics", {})
    return {**fault.get("replace", found), **fault.get("add", {})}


def billed(prediction: Prediction) -> dict[str, Any]:
    """What the owner would pay for."""
    asked = prediction.asked()
    found: dict[str, Any] = {}
    if prediction.kind == "image":
        found["image_output_count"] = len(prediction.files)
    elif "duration" in asked:
        found["video_output_duration_seconds"] = float(asked["duration"])
    else:
        found["video_output_count"] = len(prediction.files)
    for name in ("resolution", "quality", "size"):
        if isinstance(asked.get(name), str):
            found["resolution_target"] = asked[name]
            break
    if "generate_audio" in asked:
        found["with_audio"] = bool(asked["generate_audio"])
    return found
