"""Signed deliveries in great numbers at one address: by wrk where it is installed, else by a client of our own."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 16
LUA = Path(__file__).with_name("deliveries.lua")
CLIENT = "wrk" if shutil.which("wrk") else "a Python client"


@dataclass(frozen=True)
class Knocked:
    """Answers 2xx a second, how many others there were, and the share of a core that the client was busy."""

    rate: float
    errors: int
    busy: float


def write_headers(path: Path, *, secret: str, body: bytes, ids: Iterator[str], count: int) -> None:
    """So many lines `id timestamp signature`, signed now."""
    key, now = base64.b64decode(secret.removeprefix("whsec_")), int(time.time())
    with path.open("w") as file:
        for name in itertools.islice(ids, count):
            digest = hmac.digest(key, f"{name}.{now}.".encode() + body, hashlib.sha256)
            file.write(f"{name} {now} v1,{base64.b64encode(digest).decode()}\n")


def knock(url: str, *, headers: Path, body: Path, seconds: float) -> Knocked:
    """Deliver for `seconds`, sixteen at a time. Raises RuntimeError when the deliveries did not last."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    if CLIENT == "wrk":
        how = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", f"-s{LUA}"]
        command = ["wrk", *how, url, "--", str(headers), str(body)]
    else:
        command = [sys.executable, __file__, url, str(headers), str(body), str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    lasted, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    answers, micros, errors = (int(word) for word in done.stdout.rpartition("found ")[2].split())
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Knocked((answers - errors) / (micros / 1e6), errors, used / lasted)


async def keep_knocking(url: str, lines: Iterator[str], body: bytes, until: float) -> tuple[int, int]:
    """One connection at a time, taken up again where the server ends it: (answers, those that were not 204)."""
    parts, answers, errors = urlsplit(url), 0, 0
    head = f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n"
    reader = writer = None
    while time.perf_counter() < until and (line := next(lines, "")):
        if reader is None or writer is None:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        name, timestamp, signature = line.split()
        named = f"webhook-id: {name}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n{named}\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        answers, errors = answers + 1, errors + (b" 204 " not in answer[:20])
        if b"connection: close" in answer.lower():
            writer.close()
            reader = writer = None
    return answers, errors


async def main(url: str, headers: Path, body: Path, seconds: float) -> None:
    """The client of our own; prints what wrk's script prints."""
    lines, began = iter(headers.read_text().splitlines()), time.perf_counter()
    knocking = (keep_knocking(url, lines, body.read_bytes(), began + seconds) for _ in range(CONNECTIONS))
    found = await asyncio.gather(*knocking)
    micros = int((time.perf_counter() - began) * 1e6)
    print("found", sum(answers for answers, _ in found), micros, sum(errors for _, errors in found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])))
