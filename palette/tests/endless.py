"""An application for a server of its own: streams 64 MiB at /, and tells at any other path how much it has sent."""

from typing import Any

from palette.pacing import Paced

CHUNK = bytes(64 * 1024)
CHUNKS = 1024
sent = 0


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """Counts what the server took from it."""
    global sent
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/":
        for _ in range(CHUNKS):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            sent += len(CHUNK)
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": str(sent).encode()})


application = Paced(endless)
