"""What the provider delivers, and what became of it: for rows about files."""

import base64
import hashlib
from typing import Any

from accounts.models import Alert
from generation.models import Prediction
from generation.tests.torture.scene import Scene

# Of one picture of the default model, in micro-dollars and as it is shown.
PRICE, SHOWN = 39_000, "$0.039"
FLUX = "black-forest-labs/flux-schnell"
# The lanes of a worker that fetches nothing, and of one that does nothing else.
MAKERS, KEEPERS = "submit,refresh,deliver,chores", "store,derive,refresh"
MANY: dict[str, Any] = {"MAX_IN_FLIGHT_PER_USER": "100", "MAX_IN_FLIGHT": "100"}


def content(data: bytes, **more: Any) -> dict[str, Any]:
    """The fault by which the provider delivers `data` in place of what it made."""
    return {"files": {"kind": "content", "content": base64.b64encode(data).decode(), **more}}


def ask_spoiled(scene: Scene, what: str, fault: dict[str, Any], **body: Any) -> Prediction:
    """Ask for something that goes wrong at the provider; `what` tells it from others."""
    scene.sandbox.add_fault(fault, prompt_contains=f"case {what};")
    return scene.ask(f"case {what};", **body)


def ask_unfetched(scene: Scene, **body: Any) -> Prediction:
    """Ask for something and let the provider make it; nobody has fetched it yet."""
    prediction = scene.ask(**body)
    scene.worker(lanes=MAKERS, webhooks=False)
    scene.wait(lambda: scene.status(prediction) == "storing")
    return prediction


def provider_id(prediction: Prediction) -> str:
    """Under which the provider knows its one attempt."""
    return prediction.attempts.get().provider_id or ""


def made_by_the_provider(scene: Scene, prediction: Prediction) -> list[str]:
    """The sums of the files as they lie at the provider."""
    key = provider_id(prediction)
    folder = scene.sandbox.sandbox.studio.folder(key)
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in scene.sandbox.prediction(key).files]


def lengthen(scene: Scene, prediction: Prediction, more: int) -> None:
    """Give the picture at the provider `more` bytes that are part of it and show nothing."""
    key = provider_id(prediction)
    path = scene.sandbox.sandbox.studio.folder(key) / scene.sandbox.prediction(key).files[0]
    data = path.read_bytes()
    assert data.startswith(b"\xff\xd8"), "the default model's pictures are JPEG files"
    # Comments, each of the greatest length that JPEG knows.
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    path.write_bytes(data[:2] + comment * (more // len(comment)) + data[2:])


def deliveries(scene: Scene, prediction: Prediction) -> int:
    """How often the provider was asked for its files."""
    key = provider_id(prediction)
    return sum(entry["prediction"] == key for entry in scene.sandbox.log("delivery"))


def is_whole(scene: Scene, prediction: Prediction) -> None:
    """It succeeded, with exactly the files that the provider made."""
    row = scene.row(prediction)
    assert (row.status, row.error_code) == ("succeeded", "")
    kept = [output.asset.sha256 for output in row.outputs.order_by("index") if output.asset]
    assert kept == made_by_the_provider(scene, prediction)
    assert scene.told(prediction)["output"]


def is_lost(scene: Scene, prediction: Prediction, code: str) -> None:
    """It was paid for, nothing of it is ours, and its creator and the administrators are told so."""
    row = scene.row(prediction)
    assert (row.status, row.error_code, row.cost_micros) == ("lost", code, PRICE)
    told, card = scene.told(prediction), scene.card(prediction)
    assert (told["status"], told["errorCode"], told["assets"]) == ("failed", code, [])
    assert "could not be saved in time" in card and SHOWN in card and "Retry frame" in card
    assert Alert.objects.filter(name="output_lost", over_at=None).exists()
