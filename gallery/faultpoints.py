"""Named places where a test may make the process die, stop, fail or dawdle; without `FAULT` they do nothing.

`FAULT=name:kill|stop|raise|delay` (delay: five seconds). Refused in production.
"""

import os
import signal
import time

from django.conf import settings


class Injected(RuntimeError):
    """What a fault point raises when asked to."""


def faultpoint(name: str) -> None:
    """Act out the fault that the environment asks for at `name`."""
    asked = os.environ.get("FAULT", "")
    if not asked or settings.PRODUCTION:
        return
    place, _, deed = asked.partition(":")
    if place != name:
        return
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif deed == "delay":
        time.sleep(5)
    else:
        raise Injected(name)
