"""Sockets read the session cookie by the same rules as pages."""

import pytest

from generation.live.tests.sockets import PATIENCE_SECONDS, handshake


@pytest.mark.django_db(transaction=True)
class TestHandshake:
    async def test_takes_a_strange_cookie_for_a_stranger_s(self) -> None:
        accepted, _ = await handshake(cookie=r'sessionid="aaaa\000bbbb"').connect(timeout=PATIENCE_SECONDS)

        assert not accepted
