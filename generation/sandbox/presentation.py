"""Predictions and files as Replicate shows them."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from generation.sandbox.state import Prediction

STEPS = 28


def timestamp(moment: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prediction_json(prediction: Prediction, *, base: str, now: float) -> dict[str, Any]:
    """The prediction object; `output` and the times that have not come yet are left out, as Replicate does."""
    body: dict[str, Any] = {
        "id": prediction.id,
        "model": prediction.model,
        "version": prediction.version,
        "input": prediction.input,
        "logs": logs(prediction, now=now),
        "data_removed": prediction.erased,
        "error": prediction.error,
        "source": "api",
        "status": prediction.status,
        "created_at": timestamp(prediction.created_at),
        "urls": {
            "get": f"{base}/v1/predictions/{prediction.id}",
            "cancel": f"{base}/v1/predictions/{prediction.id}/cancel",
            "web": f"{base}/p/{prediction.id}",
        },
    }
    if prediction.deadline is not None and not prediction.fault.get("deadline", {}).get("hidden"):
        body["deadline"] = timestamp(prediction.deadline)
    if prediction.started_at is not None:
        body["started_at"] = timestamp(prediction.started_at)
    if prediction.completed_at is not None:
        body |= {"completed_at": timestamp(prediction.completed_at), "output": output(prediction, base=base)}
    if prediction.metrics is not None:
        body["metrics"] = prediction.metrics
    return body


def output(prediction: Prediction, *, base: str) -> Any:
    """What it made: an address or a list of them, or what a fault asks for."""
    if prediction.erased or prediction.status != "succeeded":
        return None
    addresses = [f"{base}/delivery/{prediction.id}/{name}" for name in prediction.files]
    fault = prediction.fault.get("output")
    if fault is None:
        return addresses if prediction.list_output else (addresses[0] if addresses else None)
    first = addresses[0] if addresses else ""
    if "value" in fault:
        return with_address(fault["value"], first)
    shapes: Mapping[str, Any] = {
        "string": first,
        "list": addresses,
        "dict": {f"output_{index}": address for index, address in enumerate(addresses)},
        "nested": {"media": [{"file": address} for address in addresses]},
        "empty_list": [],
        "empty_string": "",
        "null": None,
        "data_uri": "data:image/png;base64," + base64.b64encode(TINY_PNG).decode(),
        "text": "I am sorry, I can only describe that picture.",
    }
    return shapes[fault["shape"]]


def with_address(value: Any, address: str) -> Any:
    """`value` with every `{url}` in its strings replaced by the first file's address."""
    if isinstance(value, str):
        return value.replace("{url}", address)
    if isinstance(value, list):
        return [with_address(item, address) for item in value]
    if isinstance(value, dict):
        return {name: with_address(item, address) for name, item in value.items()}
    return value


def logs(prediction: Prediction, *, now: float) -> str:
    """The log so far: a few words and a progress bar in the manner of tqdm; the kept one once it has ended."""
    if prediction.ended or prediction.erased or prediction.started_at is None:
        return prediction.logs
    if prediction.fault.get("outcome", {}).get("hang"):
        return "Using seed: 42\n"
    share = min((now - prediction.started_at) / prediction.run_seconds, 0.99) if prediction.run_seconds else 0.99
    return log_lines(prediction, share=share)


def log_lines(prediction: Prediction, *, share: float) -> str:
    """The log of a run of which `share` (0 to 1) is done."""
    text = prediction.fault.get("logs", {}).get("text", "")
    text += "x" * int(prediction.fault.get("logs", {}).get("bytes", 0))
    lines = [text] if text else []
    lines.append(f"Using seed: {prediction.input.get('seed', sum(prediction.id.encode()) * 7919 % 65536)}")
    for step in range(int(share * STEPS) + 1):
        spent = prediction.run_seconds * step / STEPS
        rest = prediction.run_seconds - spent
        bar = ("█" * (step * 10 // STEPS)).ljust(10)
        rate = f"{STEPS / prediction.run_seconds:5.2f}it/s" if prediction.run_seconds else "?it/s"
        lines.append(f"{step * 100 // STEPS:3d}%|{bar}| {step}/{STEPS} [{clock(spent)}<{clock(rest)}, {rate}]")
    return "\n".join(lines) + "\n"


def clock(seconds: float) -> str:
    """mm:ss."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def file_json(facts: Mapping[str, Any], *, base: str) -> dict[str, Any]:
    """The file object."""
    return {
        "id": facts["id"],
        "name": facts["name"],
        "content_type": facts["content_type"],
        "size": facts["size"],
        "etag": facts["md5"],
        "checksums": {"sha256": facts["sha256"], "md5": facts["md5"]},
        "metadata": facts["metadata"],
        "created_at": timestamp(facts["created_at"]),
        "expires_at": timestamp(facts["expires_at"]),
        "urls": {"get": f"{base}/v1/files/{facts['id']}"},
    }


TINY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def dumps(prediction: Prediction, *, base: str, now: float) -> str:
    """The prediction object as a webhook's body."""
    return json.dumps(prediction_json(prediction, base=base, now=now))
