"""Decoding in a process that may be lost: bounded in memory, processor time and wall time, and without secrets."""

import errno
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

CHILD = Path(__file__).with_name("derivatives_child.py")
# What forks them: to start Python and the decoders for each would take longer than most pictures do.
MOTHER = Path(__file__).with_name("decoding.py")
CHILD_SECONDS = 30.0
# Longer than the mother takes to load the decoders, or to tell of a child that was killed.
ANSWER_SECONDS = 30.0
# Of what it says, however much that is.
MOST_HEARD_BYTES = 64 * 1024

logger = logging.getLogger(__name__)


def run_child(*arguments: str, seconds: float | None = None) -> dict[str, Any] | None:
    """What the child found, None when it failed, crashed, or took longer than `seconds` (thirty).

    Raises OSError when the disk had no room for what it made, or no child could be had: nothing is wrong with the file
    then.
    """
    # It speaks into files, whose size its own limits bound; a pipe would carry everything into our memory.
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        seconds = CHILD_SECONDS if seconds is None else seconds
        status = _status_of(arguments, seconds, said, complained)
        if status != 0:
            reason = _heard(complained).decode(errors="replace").strip().rpartition("\n")[2][:200]
            logger.warning("decoding child: ended with %s: %s", "no word" if status is None else status, reason)
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


class Mother:
    """The process that forks `program`'s children for the process `owner`; with that one, or this object, it ends."""

    def __init__(self, program: Path) -> None:
        self.program, self.owner = program, os.getpid()
        self._door, inner = socket.socketpair()
        self._asking = threading.Lock()
        with inner:
            # Isolated (-I), by path: neither Django nor this package is imported, and no secret is in its environment.
            self._process = subprocess.Popen(  # noqa: S603  (our own program; no shell reads its arguments)
                [sys.executable, "-I", str(MOTHER), str(program), str(inner.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[inner.fileno()],
                env={"PATH": os.defpath, "MALLOC_ARENA_MAX": "2"},
            )

    def ask(self, request: bytes, said: IO[bytes], complained: IO[bytes]) -> socket.socket | None:
        """Have a child forked; where its status will come from, or None when the mother is not there any more."""
        answer, inner = socket.socketpair()
        answer.settimeout(ANSWER_SECONDS)
        with inner, self._asking:
            try:
                socket.send_fds(self._door, [request], [said.fileno(), complained.fileno(), inner.fileno()])
                inner.close()
                # The next request follows when this one was read, so that no two are read as one.
                taken = answer.recv(1)
            except OSError:
                taken = b""
        if taken:
            return answer
        answer.close()
        return None

    def let_go(self) -> None:
        """No more children; those under way end by themselves."""
        self._door.close()
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()


class _Mothers:
    """The one that is there, or a new one in its place."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._mother: Mother | None = None

    def get(self) -> Mother:
        with self._changing:
            mother = self._mother
            if mother is None or mother.owner != os.getpid() or mother.program != CHILD:
                if mother:
                    mother.let_go()
                mother = self._mother = Mother(CHILD)
            return mother

    def gone(self, mother: Mother) -> None:
        """`mother` does not answer; whoever finds out first removes it."""
        with self._changing:
            if self._mother is mother:
                mother.let_go()
                self._mother = None


_mothers = _Mothers()


def _status_of(arguments: tuple[str, ...], seconds: float, said: IO[bytes], complained: IO[bytes]) -> int | None:
    """The exit status of a child, negative for a signal; None when nobody can tell. Raises OSError without a child."""
    request = json.dumps([seconds, *arguments]).encode()
    for _ in range(2):
        mother = _mothers.get()
        if answer := mother.ask(request, said, complained):
            with answer:
                answer.settimeout(seconds + ANSWER_SECONDS)
                try:
                    return int(answer.recv(16) or b"none")
                except (OSError, ValueError):
                    return None
        _mothers.gone(mother)
    raise OSError(errno.EAGAIN, "no decoding child could be started")


def _heard(file: IO[bytes]) -> bytes:
    """The last that was said."""
    file.seek(max(file.seek(0, os.SEEK_END) - MOST_HEARD_BYTES, 0))
    return file.read()
