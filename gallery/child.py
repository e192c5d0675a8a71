"""Decoding in a process that may be lost: bounded in memory, processor time and wall time, and without secrets."""

import errno
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

CHILD = Path(__file__).with_name("derivatives_child.py")
CHILD_SECONDS = 30
# Of what it says, however much that is.
MOST_HEARD_BYTES = 64 * 1024

logger = logging.getLogger(__name__)


def run_child(*arguments: str, seconds: float | None = None) -> dict[str, Any] | None:
    """What the child found, None when it failed, crashed, or took longer than `seconds` (thirty).

    Raises OSError when the disk had no room for what it made: nothing is wrong with the file then.
    """
    # It speaks into files, whose size its own limits bound; a pipe would carry everything into our memory.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        try:
            # Isolated (-I), by path: neither Django nor this package is imported, so it starts in a tenth of a second.
            done = subprocess.run(  # noqa: S603  (our own program; no shell reads its arguments)
                [sys.executable, "-I", str(CHILD), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                timeout=CHILD_SECONDS if seconds is None else seconds,
                env={"PATH": os.defpath, "MALLOC_ARENA_MAX": "2"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            logger.warning("decoding child: killed, it took too long")
            return None
        if done.returncode != 0:
            reason = _heard(complained).decode(errors="replace").strip().rpartition("\n")[2][:200]
            logger.warning("decoding child: ended with %s: %s", done.returncode, reason)
            if os.strerror(errno.ENOSPC) in reason:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return None
        try:
            found = json.loads(_heard(said))
        except ValueError:
            found = None
    if not isinstance(found, dict):
        # A decoder of someone else's has spoken in between.
        logger.warning("decoding child: said nothing that can be read")
        return None
    return found


def _heard(file: IO[bytes]) -> bytes:
    """The last that was said."""
    file.seek(max(file.seek(0, os.SEEK_END) - MOST_HEARD_BYTES, 0))
    return file.read()
