"""Named places where a test may make the process die, stop, fail or dawdle; without `FAULT` they do nothing.

`FAULT=name:kill|stop|raise|delay` (delay: five seconds). Refused in production.
"""

import logging
import os
import signal
import threading
import time

from django.conf import settings

log = logging.getLogger(__name__)


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
    log.warning("fault point %s: %s", name, deed)
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "stop":
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        # The kernel stops the threads of a process one after the other: this one goes no further meanwhile.
        time.sleep(0.2)
    elif deed == "delay":
        time.sleep(5)
    else:
        raise Injected(name)
