"""Starts decoding children fast: a program of its own that has loaded the decoders, and forks for each file.

PROGRAM DOOR: the child's program, and the number of a socket. Each message there is JSON, `[seconds, *arguments]`, with
three open files: for what the child prints, for what it complains of, and for the answer. The answer is `TAKEN` as soon
as there is a child, and its exit status (negative: the signal) in the end. It imports neither Django nor this package,
and ends with whoever holds the other end of the socket.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import CodeType
from typing import Any, Final, NoReturn

# Loaded here, they are there in each child.
import av  # noqa: F401
from PIL import Image, ImageOps, ImageStat, WebPImagePlugin  # noqa: F401

TAKEN: Final = b"\n"
MOST_REQUEST_BYTES: Final = 64 * 1024


def serve(program: str, door: socket.socket) -> None:
    """Fork for each request until nobody can ask any more."""
    code = compile(Path(program).read_bytes(), program, "exec")
    signal.signal(signal.SIGCHLD, reap)
    # A terminal, and systemd, tell all processes: who holds the door decides when this ends, and finishes first.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Image.preinit()
    gc.freeze()
    while True:
        request, files, _, _ = socket.recv_fds(door, MOST_REQUEST_BYTES, 3)
        if not request:
            return
        if os.fork() == 0:
            door.close()
            guard(code, json.loads(request), *files)
        for file in files:
            os.close(file)


def reap(*_: object) -> None:
    """Guards that have ended; so the processor time of their children is entered with ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def guard(code: CodeType, request: list[Any], said: int, complained: int, answer: int) -> NoReturn:
    """Wait for a child of our own, for so many seconds at most, and tell how it ended."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        seconds, *arguments = request
        pid = os.fork()
        if pid == 0:
            os.close(answer)
            os.dup2(said, 1)
            os.dup2(complained, 2)
            decode(code, arguments)
        with contextlib.suppress(BrokenPipeError):
            os.write(answer, TAKEN)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _, status = os.waitpid(pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(answer, str(os.waitstatus_to_exitcode(status)).encode())
    finally:
        os._exit(0)


def decode(code: CodeType, arguments: list[str]) -> NoReturn:
    """Be the child: run its program as an interpreter would that had just been started for it."""
    status = 1
    try:
        sys.argv[1:] = arguments
        exec(code, {"__name__": "__main__"})  # noqa: S102  (our own program, read from our own file)  # nosec B102
        sys.stdout.flush()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # On a full disk not even the complaint can be written.
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
