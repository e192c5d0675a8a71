"""A large file that is sent to the store while it is still being fetched, a part at a time.

Each piece is written down before it is told of here, and the file stays: whatever becomes of the upload, nothing has to
be fetched a second time. What is on its way is to be seen by nobody until `complete`, which is called once the whole
file was looked at; without that it is taken back.
"""

import hashlib
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Self

from gallery import storage
from gallery.files import EXTENSIONS
from gallery.parts import Parts
from gallery.signatures import sniff

# Parts on their way, each of them in memory.
AT_ONCE = 2


class Ahead:
    """The upload of the file at `path`, which grows, under a key that `new_key` makes for its extension.

    Once there is more than a part of it, `may_send` is asked whether to begin. A context: at its end what is not
    complete is taken back. `AT_ONCE` parts are in memory, in threads of their own.
    """

    def __init__(self, path: Path, *, new_key: Callable[..., str], may_send: Callable[[], bool]) -> None:
        self.path = path
        self.key = ""
        self._new_key, self._may_send, self._asked = new_key, may_send, False
        self._digest, self._size = hashlib.sha256(), 0
        self._grown = threading.Condition()
        self._ended = self._given_up = self._complete = False
        self._thread: threading.Thread | None = None
        self._parts: Parts | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._thread:
            self._thread.join()
        if self._parts and not self._complete:
            self._parts.take_back()

    def came(self, piece: bytes) -> None:
        """So much more of the file has been written down."""
        self._digest.update(piece)
        with self._grown:
            self._size += len(piece)
            self._grown.notify_all()
        if not self._asked and self._size > storage.PART_BYTES:
            self._asked = True
            if self._may_send():
                self._begin()

    def sha256(self) -> str:
        """The sum of all that came, in hex; "" where nothing was told of."""
        return self._digest.hexdigest() if self._size else ""

    def end(self) -> None:
        """All of it has been written down: what is left, less than a part, may go while it is looked at."""
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    def complete(self) -> None:
        """Wait for what is still on its way, and make it an object. Raises StorageError."""
        self.end()
        assert self._thread is not None
        self._thread.join()
        if self._error:
            raise self._error
        assert self._parts is not None
        with storage.faults(f"completing {self.key}"):
            self._parts.complete()
        self._complete = True

    def _begin(self) -> None:
        with self.path.open("rb") as file:
            content_type = sniff(file.read(64))
        if not content_type or storage.is_local():
            return
        self.key = self._new_key(extension=EXTENSIONS[content_type])
        self._thread = threading.Thread(target=self._send, args=[content_type], name="ahead", daemon=True)
        self._thread.start()

    def _send(self, content_type: str) -> None:
        try:
            with storage.faults(f"storing {self.key}"), self.path.open("rb") as file:
                self._parts = storage.begin(key=self.key, content_type=content_type)
                with ThreadPoolExecutor(AT_ONCE) as hands:
                    for done in [hands.submit(self._send_every, AT_ONCE, first, file) for first in range(AT_ONCE)]:
                        done.result()
        except BaseException as error:
            # Raised again where it is waited for.
            self._error = error

    def _send_every(self, step: int, first: int, file: BinaryIO) -> None:
        """Send every `step`-th part from `first` on as soon as it is there; when one breaks, the others stop too."""
        try:
            for number in itertools.count(first, step):
                if not self._send_part(number, file):
                    return
        except BaseException:
            self._stop()
            raise

    def _send_part(self, number: int, file: BinaryIO) -> bool:
        """Send a whole part, at the end what is left; False when nothing is."""
        start, size = number * storage.PART_BYTES, storage.PART_BYTES
        with self._grown:
            self._grown.wait_for(lambda: self._ended or self._size >= start + size)
            if self._given_up:
                return False
        part = os.pread(file.fileno(), size, start)
        if part and self._parts:
            self._parts.send(number + 1, part)
        return bool(part)

    def _stop(self) -> None:
        with self._grown:
            self._ended = self._given_up = True
            self._grown.notify_all()
