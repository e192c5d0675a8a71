"""Decoding in a process that may be lost: bounded in memory, processor time and wall time, and without secrets."""

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


def run_child(*arguments: str, seconds: float = CHILD_SECONDS) -> dict[str, Any] | None:
    """What the child found, None when it failed, crashed, or took longer than `seconds`."""
    try:
        # Isolated (-I), by path: neither Django nor this package is imported, so it starts in a tenth of a second.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", str(CHILD), *arguments],
            capture_output=True,
            timeout=seconds,
            env={"PATH": os.defpath, "MALLOC_ARENA_MAX": "2"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        logger.warning("decoding child: killed after %s s", seconds)
        return None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
        logger.warning("decoding child: ended with %s: %s", done.returncode, reason)
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found
