"""Bodies are bounded by address, announced or not, before anything keeps them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from palette.limits import MARK, MIB, LimitedBody, exceeds, limit_for


class TestLimitFor:
    @pytest.mark.parametrize(
        ("path", "limit"),
        [
            ("/api/webhooks/replicate", MIB),
            ("/api/generation/image", 24 * MIB),
            ("/api/gallery/assets", 25 * MIB),
            ("/generate", 24 * MIB),
            ("/api/predictions", MIB),
            ("/accounts/login/", MIB),
        ],
    )
    def test_is_that_of_the_address(self, path: str, limit: int) -> None:
        assert limit_for(path) == limit

    @pytest.mark.parametrize(("length", "too_long"), [("", False), ("x", False), ("1048576", False), ("1048577", True)])
    def test_reads_what_a_header_announces(self, length: str, too_long: bool) -> None:
        assert exceeds(length, "/api/predictions") is too_long
        assert exceeds("9" * 5000, "/api/predictions")


class TestLimitedBody:
    """Driven as a server drives it: a message at a time."""

    async def call(
        self, chunks: list[bytes], *, path: str = "/api/webhooks/replicate", announced: int | None = None
    ) -> tuple[bytes, bool, int]:
        """What the application got, whether it was marked, and how many messages were taken from the server."""
        headers = [] if announced is None else [(b"content-length", str(announced).encode())]
        scope: dict[str, Any] = {"type": "http", "path": path, "headers": headers}
        taken = 0
        got = b""

        def messages() -> Iterator[dict[str, Any]]:
            for number, chunk in enumerate(chunks):
                yield {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
            yield {"type": "http.disconnect"}

        source = messages()

        async def receive() -> dict[str, Any]:
            nonlocal taken
            taken += 1
            return next(source)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal got
            while (message := await receive())["type"] == "http.request":
                got += message["body"]
                if not message["more_body"]:
                    break

        async def send(message: Any) -> None:
            return None

        await LimitedBody(app)(scope, receive, send)
        return got, scope.get(MARK, False), taken

    async def test_passes_on_what_is_within(self) -> None:
        assert await self.call([b"a" * 1000, b"b"]) == (b"a" * 1000 + b"b", False, 2)

    async def test_passes_on_the_last_byte(self) -> None:
        got, marked, _ = await self.call([b"a" * MIB])

        assert len(got) == MIB
        assert not marked

    async def test_takes_nothing_of_what_announces_too_much(self) -> None:
        assert await self.call([b"a" * 1000] * 50, announced=50 * MIB) == (b"", True, 0)

    async def test_stops_where_chunks_pass_the_limit(self) -> None:
        got, marked, taken = await self.call([b"a" * 65536] * 800)

        assert marked
        assert len(got) == MIB
        assert taken == MIB // 65536 + 1

    async def test_leaves_sockets_alone(self) -> None:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(await receive())

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await LimitedBody(app)({"type": "websocket", "path": "/ws/studio"}, receive, app)  # type: ignore[arg-type]

        assert seen == [{"type": "websocket.connect"}]


@pytest.mark.django_db
class TestBodyLimitMiddleware:
    def test_answers_the_api_with_a_problem(self, client: Client) -> None:
        response = client.generic("POST", "/api/predictions", b"x" * (MIB + 1), content_type="application/json")

        assert response.status_code == 413
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == "too_large"
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_answers_a_page_with_a_page(self, client: Client) -> None:
        response = client.generic("POST", "/accounts/login/", b"x" * (MIB + 1))

        assert response.status_code == 413
        assert response["Content-Type"].startswith("text/html")
