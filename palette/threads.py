"""Requests take turns at threads that are kept.

Under ASGI Django has what waits done in a thread of the request's own, made for it and thrown away after it, and with
the thread goes what it had prepared for its database.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

from palette.limits import App, Receive, Scope, Send

# As many stay when a crowd has gone.
MOST_IDLE: Final = 32


class Hand(ThreadPoolExecutor):
    """One thread, and whether it was sent away."""

    gone = False

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="request")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As ever; whoever waits without a thread does so amid a request."""
        self.gone = True
        super().shutdown(wait, cancel_futures=cancel_futures)


class InKeptThreads:
    """ASGI: everything of a request that needs a thread is done in one that other requests had before it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.idle: deque[Hand] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hand = self.idle.pop() if self.idle else Hand()
        try:
            async with ThreadSensitiveContext(executor=hand):
                await self.app(scope, receive, send)
        finally:
            # Behind whatever it still does: of a request that was cut off the view goes on to its end.
            if not hand.gone:
                hand.submit(connections.close_all).add_done_callback(lambda _: self._keep(hand))

    def _keep(self, hand: Hand) -> None:
        if len(self.idle) < MOST_IDLE:
            self.idle.append(hand)
        else:
            hand.shutdown(wait=False)
