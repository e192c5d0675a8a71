"""Turns a prediction into files: reads its references, has the pictures painted, writes them where they are served."""

import base64
import binascii
import contextlib
import os
import queue
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from generation.sandbox.pictures import paint
from generation.sandbox.pictures.film import Unwanted
from generation.sandbox.pictures.paint import References
from generation.sandbox.pictures.photo import UnreadablePicture
from generation.sandbox.pictures.request import Request, read_request
from generation.sandbox.state import Prediction, Store, StoreClosed
from generation.sandbox.webhooks import LOOPBACK

INSTANT_VARIANTS = 6
# What instant speed has painted so far, for all sandboxes of this process.
small_ones: dict[tuple[Any, ...], bytes] = {}


Line = queue.SimpleQueue[tuple[str, Callable[[list[str], str], None]] | None]


class BadReference(Exception):
    """A reference that names a file the sandbox does not have."""


FIRST_FRAMES = ("image", "start_image", "first_frame_image", "input_image")
LAST_FRAMES = ("last_frame_image", "last_image", "end_image", "last_frame")


def addresses_in(input: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, address) of every data: URI or web address among the inputs; prompts are never addresses."""
    found = []
    for name, value in input.items():
        if "prompt" in name:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and item.startswith(("data:", "http://", "https://")):
                found.append((name, item))
    return found


def decode_data_uri(uri: str) -> bytes:
    """The bytes of a data: URI; raises `BadReference`."""
    head, _, payload = uri.partition(",")
    raw = unquote_to_bytes(payload)
    if not head.endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        raise BadReference("could not read an input given as a data: URI") from None


class Studio:
    """A few threads that paint, some for stills and some for films, so that no picture waits behind a film.

    The work is done by libraries that free the interpreter meanwhile: the server goes on answering.
    """

    def __init__(self, store: Store, *, instant: bool) -> None:
        self.store, self.instant = store, instant
        self.lines: dict[str, Line] = {"image": queue.SimpleQueue(), "video": queue.SimpleQueue()}
        painters = {"image": 1, "video": max(1, (os.cpu_count() or 2) // 2)}
        self.threads = [
            threading.Thread(target=self.run, args=(self.lines[kind],), name=f"sandbox-{kind}", daemon=True)
            for kind, count in painters.items()
            for _ in range(count)
        ]

    def start(self) -> None:
        """Begin to paint."""
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Take no more orders; what is being painted is dropped at the next look."""
        for line in self.lines.values():
            for _ in self.threads:
                line.put(None)

    def order(self, prediction: Prediction, done: Callable[[list[str], str], None]) -> None:
        """Have the prediction's files made; `done` hears their names, or an error's text."""
        self.lines[prediction.kind].put((prediction.id, done))

    def run(self, line: Line) -> None:
        """One painter's life."""
        with contextlib.suppress(StoreClosed):
            while (job := line.get()) is not None:
                self.carry_out(*job)

    def carry_out(self, id: str, done: Callable[[list[str], str], None]) -> None:
        """Paint for one prediction, unless it has ended meanwhile."""
        prediction = self.store.get(id)
        if prediction is None or prediction.ended:
            return
        try:
            names = self.make(prediction)
        except Unwanted:
            return
        except (BadReference, UnreadablePicture) as error:
            done([], f"Prediction failed: {error}")
        except StoreClosed:
            raise
        except Exception as error:  # shown as the model's own failure, as a real model's would be
            done([], f"Prediction failed: {type(error).__name__}: {error}")
        else:
            done(names, "")

    def make(self, prediction: Prediction) -> list[str]:
        """Paint everything asked for; returns the file names."""
        # Without a seed every run comes out another way, as a real model's does; instant ones are for tests.
        chance = {} if self.instant else {"seed": prediction.id}
        request = read_request(prediction.kind, prediction.model, chance | prediction.asked())
        references = self.references(prediction.input)
        names = []
        for index in range(request.count):
            data = self.bytes_of(request, index, references, prediction.id)
            names.append(f"out-{index}.{request.extension}")
            self.write(prediction.id, names[-1], data)
        return names

    def references(self, input: Mapping[str, Any]) -> References:
        """The given pictures by what they are for; raises `BadReference`."""
        known = [(name, data) for name, address in addresses_in(input) if (data := self.read(address)) is not None]
        return References(
            first=next((data for name, data in known if name in FIRST_FRAMES), None),
            last=next((data for name, data in known if name in LAST_FRAMES), None),
            others=[data for name, data in known if name not in (*FIRST_FRAMES, *LAST_FRAMES)],
        )

    def bytes_of(self, request: Request, index: int, references: References, id: str) -> bytes:
        """One output's bytes; with instant speed a small one, painted once for each shape and a few variants."""
        if not self.instant:
            return paint.render(request, index=index, references=references, wanted=lambda: self.wanted(id))
        variant = zlib.crc32(f"{request.prompt} {request.seed} {index}".encode()) % INSTANT_VARIANTS
        key = (request.kind, request.ratio, request.extension, request.seconds, variant)
        if key not in small_ones:
            small_ones[key] = paint.render(
                request.small(variant), index=0, references=References(), wanted=lambda: True
            )
        return small_ones[key]

    def wanted(self, id: str) -> bool:
        """Whether the prediction still runs."""
        prediction = self.store.get(id)
        return prediction is not None and not prediction.ended

    def write(self, id: str, name: str, data: bytes) -> None:
        """Put the file where it is delivered from; it appears whole or not at all."""
        folder = self.folder(id)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{name}"
        partial.write_bytes(data)
        partial.replace(folder / name)

    def folder(self, id: str) -> Path:
        """Where a prediction's outputs lie."""
        return self.store.folder / "outputs" / id

    def read(self, address: str) -> bytes | None:
        """A reference's bytes: data: URIs, our own files and outputs. Nothing is fetched: None for all others."""
        if address.startswith("data:"):
            return decode_data_uri(address)
        parts = urlsplit(address)
        steps = parts.path.strip("/").split("/")
        if parts.hostname not in LOOPBACK:
            return None
        if steps[:2] == ["v1", "files"] and len(steps) >= 3:
            path = self.store.folder / "files" / steps[2]
            known = bool(self.store.files(steps[2]))
        elif steps[0] == "delivery" and len(steps) == 3:
            made = self.store.get(steps[1])
            path = self.folder(steps[1]) / steps[2]
            known = made is not None and steps[2] in made.files and not made.erased
        else:
            return None
        if not known:
            raise BadReference(f"could not read the input file {parts.path}")
        return path.read_bytes()
