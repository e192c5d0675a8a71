"""What the sandbox remembers, in a SQLite file of its own that survives being killed at any moment."""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generation.sandbox.models import model_of

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LOG_ENTRIES_KEPT = 20_000
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})

SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, created_at REAL NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0, erased INTEGER NOT NULL DEFAULT 0, input TEXT NOT NULL, rest TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS predictions_open ON predictions (erased, ended);
CREATE INDEX IF NOT EXISTS predictions_created ON predictions (created_at);
CREATE TABLE IF NOT EXISTS files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, created_at REAL NOT NULL, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (id TEXT PRIMARY KEY, due_at REAL NOT NULL, rest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (id INTEGER PRIMARY KEY AUTOINCREMENT, rest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, prediction TEXT NOT NULL, entry TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(kw_only=True)
class Prediction:
    """One run: what was asked, what is planned, how it stands. Times are seconds since 1970, to the millisecond.

    `queue_seconds` and `run_seconds` are planned at the create; `files` are the names of what was made, `answer`
    the output to be shown when it is not simply those files' addresses (a fault). `fault` holds the effects of all
    rules that matched the create.
    """

    id: str
    model: str
    version: str
    kind: str
    list_output: bool
    created_at: float
    queue_seconds: float
    run_seconds: float
    input: dict[str, Any] = field(default_factory=dict)
    status: str = "starting"
    started_at: float | None = None
    completed_at: float | None = None
    deadline: float | None = None
    files: list[str] = field(default_factory=list)
    error: str | None = None
    logs: str = ""
    metrics: dict[str, Any] | None = None
    webhook: str = ""
    events: list[str] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    fault: dict[str, Any] = field(default_factory=dict)
    erased: bool = False

    def asked(self) -> dict[str, Any]:
        """The input with the model's defaults; `input` itself is shown exactly as it was sent."""
        return {**model_of(self.model).defaults(), **self.input}

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.completed_at is not None


def new_id(prefix: str = "") -> str:
    """26 characters, as Replicate's."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(26))


def now() -> float:
    """The time in seconds, to the millisecond, as it is shown: differences shown are then exact."""
    return round(time.time(), 3)


class StoreClosed(Exception):
    """The sandbox was stopped while a thread still wanted something written down."""


class Store:
    """The only one who touches the SQLite file; every method is one short transaction under one lock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.closed = False
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.db = sqlite3.connect(folder / "sandbox.sqlite3", check_same_thread=False, isolation_level=None, timeout=20)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the file; from now on everything raises `StoreClosed`."""
        with self.lock:
            self.closed = True
            self.db.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement under the lock; raises `StoreClosed`."""
        if self.closed:
            raise StoreClosed
        return self.db.execute(statement, values)

    def secret(self, name: str, fresh: str) -> str:
        """The kept secret of that name; `fresh` becomes it when there is none yet."""
        with self.lock:
            self.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, fresh))
            return str(self.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0])

    # Predictions.

    def add(self, prediction: Prediction) -> None:
        """Remember a new prediction."""
        with self.lock:
            self.execute(
                "INSERT INTO predictions (id, created_at, input, rest) VALUES (?, ?, ?, ?)",
                (prediction.id, prediction.created_at, json.dumps(prediction.input), rest_of(prediction)),
            )

    def get(self, id: str) -> Prediction | None:
        """The prediction of that id."""
        with self.lock:
            row = self.execute("SELECT input, rest FROM predictions WHERE id = ?", (id,)).fetchone()
        return prediction_of(row) if row else None

    @contextmanager
    def changing(self, id: str) -> Iterator[Prediction]:
        """The prediction, to be changed in place by one at a time, saved at the end; whoever waits is woken."""
        with self.changed:
            prediction = self.get(id)
            if prediction is None:
                raise KeyError(id)
            yield prediction
            self.execute(
                "UPDATE predictions SET rest = ?, ended = ?, erased = ? WHERE id = ?",
                (rest_of(prediction), prediction.ended, prediction.erased, id),
            )
            self.changed.notify_all()

    def let_pass(self, seconds: float) -> None:
        """As if everything had happened so many seconds earlier; what is planned keeps its time."""
        for prediction in self.not_erased():
            with self.changing(prediction.id) as changed:
                for name in ("created_at", "started_at", "completed_at", "deadline"):
                    if (moment := getattr(changed, name)) is not None:
                        setattr(changed, name, round(moment - seconds, 3))
        with self.lock:
            self.execute("UPDATE predictions SET created_at = created_at - ?", (seconds,))

    def forget_predictions(self) -> None:
        """Drop all of them; planned steps find nothing any more."""
        with self.lock:
            self.execute("DELETE FROM predictions")

    def erase_input(self, id: str) -> None:
        """Forget what was asked, here and in the log."""
        with self.lock:
            self.execute("UPDATE predictions SET input = '{}' WHERE id = ?", (id,))
            self.execute("UPDATE log SET entry = json_remove(entry, '$.input') WHERE prediction = ?", (id,))

    def not_erased(self) -> list[Prediction]:
        """All that still hold something, oldest first."""
        with self.lock:
            rows = self.execute("SELECT input, rest FROM predictions WHERE erased = 0 ORDER BY seq").fetchall()
        return [prediction_of(row) for row in rows]

    def page(
        self, *, limit: int, before: int | None = None, after: int | None = None, since: float, until: float
    ) -> list[tuple[int, Prediction]]:
        """At most `limit` (place, prediction), newest first: below the place `before`, or the nearest above `after`."""
        where, value = ("seq > ?", after) if after is not None else ("seq < ?", 2**62 if before is None else before)
        order = "ASC" if after is not None else "DESC"
        with self.lock:
            rows = self.execute(
                f"SELECT seq, input, rest FROM predictions WHERE {where} "  # noqa: S608  (our own text)  # nosec B608
                f"AND created_at >= ? AND created_at < ? ORDER BY seq {order} LIMIT ?",
                (value, since, until, limit),
            ).fetchall()
        found = [(row[0], prediction_of(row[1:])) for row in rows]
        return found[::-1] if after is not None else found

    # Small things kept as JSON: uploaded files, pending webhook deliveries, fault rules, the log.

    def add_file(self, facts: dict[str, Any]) -> None:
        """Remember an uploaded file's facts."""
        with self.lock:
            self.execute(
                "INSERT INTO files (id, created_at, facts) VALUES (?, ?, ?)",
                (facts["id"], facts["created_at"], json.dumps(facts)),
            )

    def files(self, id: str | None = None) -> list[dict[str, Any]]:
        """The facts of all files, newest first, or of the one."""
        with self.lock:
            rows = self.execute(
                "SELECT facts FROM files WHERE ? IS NULL OR id = ? ORDER BY seq DESC", (id, id)
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def drop_file(self, id: str) -> bool:
        """Forget a file; False when there was none."""
        with self.lock:
            return self.execute("DELETE FROM files WHERE id = ?", (id,)).rowcount == 1

    def keep_delivery(self, delivery: dict[str, Any]) -> None:
        """Remember a webhook that is still to be sent."""
        with self.lock:
            self.execute(
                "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?)",
                (delivery["key"], delivery["due_at"], json.dumps(delivery)),
            )

    def has_delivery(self, key: str) -> bool:
        """Whether that webhook is still to be sent."""
        with self.lock:
            return self.execute("SELECT 1 FROM deliveries WHERE id = ?", (key,)).fetchone() is not None

    def drop_deliveries(self) -> None:
        """Forget all webhooks that were not sent yet."""
        with self.lock:
            self.execute("DELETE FROM deliveries")

    def drop_delivery(self, key: str) -> None:
        """Forget a webhook that was sent or given up."""
        with self.lock:
            self.execute("DELETE FROM deliveries WHERE id = ?", (key,))

    def deliveries(self) -> list[dict[str, Any]]:
        """All webhooks still to be sent, soonest first."""
        with self.lock:
            return [json.loads(row[0]) for row in self.execute("SELECT rest FROM deliveries ORDER BY due_at")]

    def add_fault(self, rule: dict[str, Any]) -> dict[str, Any]:
        """Remember a fault rule and give it its number."""
        with self.lock:
            number = self.execute("INSERT INTO faults (rest) VALUES ('{}')").lastrowid
            rule = {**rule, "id": number}
            self.execute("UPDATE faults SET rest = ? WHERE id = ?", (json.dumps(rule), number))
            return rule

    def faults(self) -> list[dict[str, Any]]:
        """All fault rules in the order they were made."""
        with self.lock:
            return [json.loads(row[0]) for row in self.execute("SELECT rest FROM faults ORDER BY id")]

    def save_fault(self, rule: dict[str, Any]) -> None:
        """Write back a rule whose count has changed."""
        with self.lock:
            self.execute("UPDATE faults SET rest = ? WHERE id = ?", (json.dumps(rule), rule["id"]))

    def clear_faults(self) -> None:
        """Forget all rules."""
        with self.lock:
            self.execute("DELETE FROM faults")

    def write_log(self, kind: str, *, prediction: str = "", **entry: Any) -> int:
        """One more line of the log; returns its number."""
        entry = {"kind": kind, "at": now(), **({"prediction": prediction} if prediction else {}), **entry}
        with self.changed:
            number = self.execute(
                "INSERT INTO log (kind, prediction, entry) VALUES (?, ?, ?)", (kind, prediction, json.dumps(entry))
            ).lastrowid
            assert number is not None
            if number % 1000 == 0:
                self.execute("DELETE FROM log WHERE seq <= ?", (number - LOG_ENTRIES_KEPT,))
            self.changed.notify_all()
            return number

    def amend_log(self, number: int, **more: Any) -> None:
        """Add to a line what became known later."""
        with self.changed:
            row = self.execute("SELECT entry FROM log WHERE seq = ?", (number,)).fetchone()
            if row:
                entry = {**json.loads(row[0]), **more}
                self.execute(
                    "UPDATE log SET entry = ?, prediction = ? WHERE seq = ?",
                    (json.dumps(entry), entry.get("prediction", ""), number),
                )
                self.changed.notify_all()

    def log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The log's lines, oldest first, all or of one kind."""
        with self.lock:
            rows = self.execute("SELECT entry FROM log WHERE ? IS NULL OR kind = ? ORDER BY seq", (kind, kind))
            return [json.loads(row[0]) for row in rows]

    def clear_log(self) -> None:
        """Empty the log."""
        with self.lock:
            self.execute("DELETE FROM log")


def rest_of(prediction: Prediction) -> str:
    """All of a prediction but its input, which never changes and may be large."""
    return json.dumps({name: value for name, value in vars(prediction).items() if name != "input"})


def prediction_of(row: tuple[str, str]) -> Prediction:
    """A prediction from its two columns."""
    return Prediction(input=json.loads(row[0]), **json.loads(row[1]))
