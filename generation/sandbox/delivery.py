"""Output files as they are delivered: without a token, in byte ranges, and in every nasty way a fault asks for."""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generation.sandbox.answers import Answer, Call, Problem

if TYPE_CHECKING:
    from generation.sandbox.server import Sandbox

TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".mp4": "video/mp4"}
CHUNK = 64 * 1024
HTML = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"


def deliver(sandbox: "Sandbox", call: Call, id: str, name: str) -> Answer:
    """GET or HEAD of /delivery/{prediction}/{name}."""
    prediction = sandbox.store.get(id)
    sandbox.store.write_log(
        "delivery",
        prediction=id,
        name=name,
        authorized="authorization" in call.headers,
        range=call.headers.get("range"),
    )
    path = sandbox.studio.folder(id) / name
    if prediction is None or prediction.erased or name not in prediction.files or not path.is_file():
        raise Problem(404, "Not found")
    fault = fault_left(sandbox, id, prediction.files.index(name), prediction.fault.get("files"))
    data = path.read_bytes()
    if fault:
        return broken(fault, data, TYPES[path.suffix], address=call.base + call.path)
    return ranged(call, data, content_type=TYPES[path.suffix], modified=path.stat().st_mtime, tag=f'"{id}-{name}"')


def ranged(call: Call, data: bytes, *, content_type: str, modified: float, tag: str) -> Answer:
    """The whole, or with a satisfiable Range the part (206), or 416."""
    headers = {
        "accept-ranges": "bytes",
        "etag": tag,
        "last-modified": formatdate(modified, usegmt=True),
        "cache-control": "public, max-age=3600",
    }
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", "").strip())
    if not found or not any(found.groups()) or call.headers.get("if-range", tag) != tag:
        return Answer(body=data, content_type=content_type, headers=headers)
    first, last = found.groups()
    start = int(first) if first else max(0, len(data) - int(last))
    stop = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > stop:
        return Answer(status=416, content_type="text/plain", headers={"content-range": f"bytes */{len(data)}"})
    headers["content-range"] = f"bytes {start}-{stop}/{len(data)}"
    return Answer(status=206, body=data[start : stop + 1], content_type=content_type, headers=headers)


def fault_left(sandbox: "Sandbox", id: str, index: int, fault: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The fault of this output if it still applies; counts `times` down."""
    if not fault or fault.get("index", index) != index:
        return None
    if "times" not in fault:
        return fault
    with sandbox.store.changing(id) as prediction:
        left = prediction.fault["files"]["times"]
        prediction.fault["files"]["times"] = left - 1
    return fault if left > 0 else None


def broken(fault: Mapping[str, Any], data: bytes, content_type: str, *, address: str) -> Answer:
    """One of the nasty answers; `address` is where it was asked for."""
    kind = fault["kind"]
    if kind == "missing":
        return Answer(status=int(fault.get("status", 404)), body=b"gone", content_type="text/plain")
    if kind == "html":
        return Answer(body=HTML, content_type="text/html")
    if kind == "mislabelled":
        return Answer(body=HTML, content_type=content_type)
    if kind == "json":
        return Answer(body=json.dumps({"detail": "expired"}).encode())
    if kind == "empty":
        return Answer(body=b"", content_type=content_type)
    if kind == "redirect":
        location = str(fault.get("location", "http://169.254.169.254/latest/meta-data/")).replace("{url}", address)
        return Answer(status=int(fault.get("status", 302)), headers={"location": location})
    if kind == "content":
        encoding = {"content-encoding": str(fault["encoding"])} if "encoding" in fault else {}
        body = base64.b64decode(fault["content"])
        return Answer(body=body, content_type=str(fault.get("content_type", content_type)), headers=encoding)
    if kind == "endless_head":
        return Answer(head_bytes_per_second=float(fault.get("bytes_per_second", 1)), broken="close")
    if kind in {"truncated", "reset"}:
        part = data[: int(fault.get("bytes", len(data) // 2))]
        ending = "reset" if kind == "reset" else "close"
        length = len(data) if fault.get("declared", True) else None
        return Answer(chunks=iter([part]), length=length, content_type=content_type, broken=ending)
    if kind == "huge":
        size = int(fault.get("bytes", 10 * 1024**3))
        length = size if fault.get("declared", True) else None
        return Answer(chunks=zeros(data, size), length=length, content_type=content_type, broken="close")
    if kind == "stalled":
        part = data[: int(fault.get("bytes", len(data) // 2))]
        return Answer(chunks=stalling(part), length=len(data), content_type=content_type, broken="close")
    rate = float(fault.get("bytes_per_second", 1000))
    return Answer(chunks=slowly(data, rate), length=len(data), content_type=content_type)


def zeros(head: bytes, size: int) -> Iterator[bytes]:
    """The file, then nothing but zeros up to `size` bytes."""
    yield head[:size]
    left = size - len(head)
    while left > 0:
        yield b"\0" * min(left, CHUNK)
        left -= CHUNK


def stalling(part: bytes) -> Iterator[bytes]:
    """A part, then silence for an hour."""
    yield part
    for _ in range(3600):
        time.sleep(1)
        yield b""


def slowly(data: bytes, bytes_per_second: float) -> Iterator[bytes]:
    """Little by little, at least ten times a second or byte by byte."""
    step = max(1, int(bytes_per_second / 10))
    for start in range(0, len(data), step):
        yield data[start : start + step]
        time.sleep(step / bytes_per_second)


def served(path: Path) -> str:
    """A file's media type."""
    return TYPES.get(path.suffix, "application/octet-stream")
