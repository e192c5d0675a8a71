"""Decoding in a process that may be lost: bounded in memory, processor time and wall time, and without secrets."""

import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("derivatives_child.py")
CHILD_SECONDS = 30

logger = logging.getLogger(__name__)


def run_child(*arguments: str, seconds: float | None = None) -> dict[str, Any] | None:
    """What the child found, None when it failed, crashed, or took longer than `seconds` (thirty).

    Raises OSError when the disk had no room for what it made: nothing is wrong with the file then.
    """
    try:
        # Isolated (-I), by path: neither Django nor this package is imported, so it starts in a tenth of a second.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", str(CHILD), *arguments],
            capture_output=True,
            timeout=CHILD_SECONDS if seconds is None else seconds,
            env={"PATH": os.defpath, "MALLOC_ARENA_MAX": "2"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        logger.warning("decoding child: killed, it took too long")
        return None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
        logger.warning("decoding child: ended with %s: %s", done.returncode, reason)
        if os.strerror(errno.ENOSPC) in reason:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return None
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        # A decoder of someone else's has spoken in between.
        logger.warning("decoding child: said nothing that can be read")
        return None
    return found
