"""What B7 compares with: sockets that are accepted and kept, and a request that has one of them sent its own body."""

from typing import Any

FIRST: list[Any] = []


async def application(scope: Any, receive: Any, send: Any) -> None:
    """ASGI. The socket that was opened first is the one that hears."""
    if scope["type"] == "websocket":
        await keep(receive, send)
    else:
        await answer(scope, receive, send)


async def keep(receive: Any, send: Any) -> None:
    """Until it is closed; each question is answered as the product's pages are."""
    FIRST.append(send)
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": '{"seen": 0}'})


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """200, and a POST's body goes to the first socket."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if scope["method"] == "POST":
        await FIRST[0]({"type": "websocket.send", "text": body.decode()})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
