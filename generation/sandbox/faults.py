"""Faults on request: rules that say which calls they hit, how often, and what then goes wrong.

A rule is `{"match": {…}, "times": n, "skip": n, "fault": {section: …}}`. `match` takes `prompt_contains`, `model`
(owner/name) and `call` (one or several of CALLS, default `create`). `times` is how many matching calls are hit
(default 1, null for ever) after `skip` were let through. Sections `answer` and `throttle` act on the call itself;
all others belong to a create and travel with its prediction. docs/sandbox.md shows an example of each.
"""

import base64
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from generation.sandbox.state import Store

CALLS = frozenset({"create", "get", "list", "cancel", "upload", "file", "secret", "account", "model", "delivery"})
# Every section with the keys it takes.
SECTIONS: Mapping[str, frozenset[str]] = {
    "answer": frozenset({"kind", "seconds", "reset", "status", "body", "headers", "content_type"}),
    "throttle": frozenset({"calls", "seconds"}),
    "webhooks": frozenset({"drop", "delay", "copies", "reversed", "signature", "age_seconds"}),
    "outcome": frozenset({"status", "error", "hang", "running_as", "ignores_cancel", "ignores_deadline"}),
    "output": frozenset({"shape", "value"}),
    "files": frozenset(
        {
            *("kind", "status", "bytes", "bytes_per_second", "declared", "location", "times", "index"),
            *("content", "content_type", "encoding"),
        }
    ),
    "deadline": frozenset({"hidden"}),
    "seconds": frozenset({"queue", "run"}),
    "metrics": frozenset({"replace", "add"}),
    "logs": frozenset({"text", "bytes"}),
}
KINDS: Mapping[str, frozenset[str]] = {
    "answer": frozenset({"lost", "lost_before", "silent", "late", "ended", "refuse", "replace"}),
    "files": frozenset(
        {
            *("missing", "truncated", "reset", "html", "json", "empty", "mislabelled", "content"),
            *("slow", "stalled", "endless_head", "huge", "redirect"),
        }
    ),
}
SHAPES = frozenset({"string", "list", "dict", "nested", "empty_list", "empty_string", "null", "data_uri", "text"})


class BadRule(ValueError):
    """A rule that cannot be understood; the text says which part."""


def read_rule(raw: Any) -> dict[str, Any]:
    """A rule with its defaults filled in; raises `BadRule`."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("fault"), Mapping) or not raw["fault"]:
        raise BadRule("a rule is an object with a non-empty object `fault`")
    if unknown := set(raw) - {"match", "times", "skip", "fault"}:
        raise BadRule(f"unknown keys {sorted(unknown)}")
    match = dict(raw.get("match") or {})
    if unknown := set(match) - {"prompt_contains", "model", "call"}:
        raise BadRule(f"match takes prompt_contains, model and call, not {sorted(unknown)}")
    calls = match.get("call", "create")
    match["call"] = [calls] if isinstance(calls, str) else list(calls)
    if unknown := set(match["call"]) - CALLS:
        raise BadRule(f"call is one of {sorted(CALLS)}, not {sorted(unknown)}")
    for section, value in raw["fault"].items():
        check_section(section, value)
    if "create" not in match["call"] and (strange := set(raw["fault"]) - {"answer", "throttle"}):
        raise BadRule(f"{sorted(strange)} belong to a create")
    return {
        "match": match,
        "times": raw.get("times", None if "throttle" in raw["fault"] else 1),
        "skip": raw.get("skip", 0),
        "fault": dict(raw["fault"]),
    }


def check_section(section: str, value: Any) -> None:
    """Raises `BadRule` for a section, key, kind or shape that does not exist."""
    if section not in SECTIONS:
        raise BadRule(f"fault takes the sections {sorted(SECTIONS)}, not {section!r}")
    if not isinstance(value, Mapping):
        raise BadRule(f"{section} is an object with some of {sorted(SECTIONS[section])}")
    if unknown := set(value) - SECTIONS[section]:
        raise BadRule(f"{section} takes {sorted(SECTIONS[section])}, not {sorted(unknown)}")
    if section in KINDS and value.get("kind") not in KINDS[section]:
        raise BadRule(f"{section}.kind is one of {sorted(KINDS[section])}")
    if section == "files" and value["kind"] == "content" and not is_base64(value.get("content")):
        raise BadRule("files.content is base64")
    if section == "output" and "value" not in value and value.get("shape") not in SHAPES:
        raise BadRule(f"output.shape is one of {sorted(SHAPES)}")


def is_base64(value: Any) -> bool:
    """Whether this is bytes written as base64."""
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return False
    return True


class FaultBook:
    """The rules in force."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.Lock()
        self.passed: dict[int, deque[float]] = {}
        self.any = bool(store.faults())

    def add(self, raw: Any) -> list[dict[str, Any]]:
        """Take one rule or a list of them, all or none; raises `BadRule`."""
        rules = [read_rule(item) for item in (raw if isinstance(raw, list) else [raw])]
        with self.lock:
            self.any = True
            return [self.store.add_fault(rule) for rule in rules]

    def clear(self) -> None:
        """Forget all rules."""
        with self.lock:
            self.any = False
            self.passed.clear()
            self.store.clear_faults()

    def take(self, call: str, *, prompts: Sequence[str] = (), model: str = "") -> dict[str, Any]:
        """The effects of the rules that this call meets, section by section; counts them down.

        Of rules with a common section only one acts, the others wait for their turn: first those that end, in the
        order they were made, then those that stay.
        """
        effects: dict[str, Any] = {}
        if not self.any:
            return effects
        with self.lock:
            for rule in sorted(self.store.faults(), key=lambda rule: (rule["times"] is None, rule["id"])):
                if not meets(rule, call, prompts, model) or rule["times"] == 0 or set(rule["fault"]) & set(effects):
                    continue
                if rule["skip"]:
                    self.store.save_fault({**rule, "skip": rule["skip"] - 1})
                    continue
                if rule["times"] is not None:
                    self.store.save_fault({**rule, "times": rule["times"] - 1})
                effects |= rule["fault"]
                if "throttle" in rule["fault"]:
                    effects["throttle"] = self.throttled(rule["id"], rule["fault"]["throttle"])
        refused = effects.pop("throttle", None)
        return {"answer": refused, **effects} if refused else effects

    def throttled(self, number: int, limit: Mapping[str, Any]) -> dict[str, Any] | None:
        """A refusal with 429 when more than `calls` came within `seconds`; a refused call counts for nothing."""
        span, moment = float(limit.get("seconds", 60)), time.monotonic()
        recent = self.passed.setdefault(number, deque())
        while recent and recent[0] <= moment - span:
            recent.popleft()
        if len(recent) < int(limit.get("calls", 1)):
            recent.append(moment)
            return None
        return {"kind": "refuse", "status": 429, "seconds": max(1, round(recent[0] + span - moment))}


def meets(rule: Mapping[str, Any], call: str, prompts: Sequence[str], model: str) -> bool:
    """Whether a rule is about this call."""
    match = rule["match"]
    if call not in match["call"] or ("model" in match and match["model"] != model):
        return False
    part = match.get("prompt_contains", "").casefold()
    return not part or any(part in prompt.casefold() for prompt in prompts)
