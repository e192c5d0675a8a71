"""Outputs that were fetched while the store was down, kept on this host until it answers again.

A spooled file belongs to the host that is named on its row and does not stop its clock: another host may still fetch
the output from the provider, as long as it is there.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from gallery.faultpoints import faultpoint
from generation.lifecycle import SPOOLED_FOR
from generation.models import Output

log = logging.getLogger(__name__)

# How long after the provider's hour a file in the spool of a host that does not show itself is waited for.
KEPT_ELSEWHERE = SPOOLED_FOR
NAME_FILE = "host"
BEGUN = ".begun"
BEGUN_KEPT_SECONDS = 15 * 60


def host() -> str:
    """The name of this spool, kept in it: a container that starts anew on the same disk has another host name.

    Empty where there is no spool, or none that can be written to.
    """
    folder: Path | None = settings.SPOOL_DIR
    if folder is None:
        return ""
    path = folder / NAME_FILE
    try:
        if not path.exists():
            _name(folder, path)
        return path.read_text()
    except OSError as error:
        log.error("the spool %s cannot be used: %s", folder, error.strerror)
        return ""


def _name(folder: Path, path: Path) -> None:
    """Linked once it is whole, so that nobody reads half a name and nobody's name is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{uuid.uuid4().hex}{BEGUN}"
    try:
        fresh.write_text(f"{socket.gethostname()[:60]}-{uuid.uuid4()}")
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def spooled(output: Output) -> Path | None:
    """The file of `output` if it lies here."""
    if not output.spool_host or output.spool_host != host():
        return None
    path = _path(output)
    return path if path.is_file() else None


def has_room() -> bool:
    """Whether there is a spool that is not yet full."""
    return bool(host()) and _taken() < settings.SPOOL_MAX_BYTES


def keep(output: Output, path: Path) -> bool:
    """Move a fetched file into the spool; False where there is none, or no room in it.

    Raises OSError when the disk does not take it; then nothing of it stays there.
    """
    if spooled(output):
        return True
    name = host()
    if not name or not path.is_file():
        return False
    # Finished under another name and renamed, so that a spooled file is always whole.
    begun = _path(output).with_name(f"{output.pk}.{uuid.uuid4().hex}{BEGUN}")
    try:
        if not _begin(path, begun):
            return False
        if path.is_file():
            with path.open("rb") as source, begun.open("r+b") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
        # A file that is renamed while others count may be missed by them.
        with _alone():
            begun.replace(_path(output))
    finally:
        begun.unlink(missing_ok=True)
    faultpoint("spool.kept")
    Output.objects.filter(pk=output.pk, lease_token=output.lease_token).update(spool_host=name)
    output.spool_host = name
    return True


def _begin(path: Path, begun: Path) -> bool:
    """Move the file, or from another disk only claim its room; False when there is none left.

    One at a time on this host, so that many together do not take more than there is.
    """
    with _alone():
        size = path.stat().st_size
        if _taken() + size > settings.SPOOL_MAX_BYTES:
            return False
        try:
            path.rename(begun)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            begun.touch()
            os.truncate(begun, size)
        return True


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (Path(settings.SPOOL_DIR or os.devnull) / NAME_FILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _taken() -> int:
    """The bytes in the spool; files may leave it while they are counted."""
    taken = 0
    for entry in os.scandir(settings.SPOOL_DIR or os.devnull):
        with contextlib.suppress(FileNotFoundError):
            taken += entry.stat().st_size
    return taken


def drop(output: Output) -> None:
    """Forget the file of an output that is stored or lost."""
    if output.spool_host and output.spool_host == host():
        _path(output).unlink(missing_ok=True)


def sweep() -> None:
    """Remove files of outputs that are no longer waited for (stored from another host, or deleted with their owner)
    and what a killed worker had begun."""
    folder: Path | None = settings.SPOOL_DIR
    if folder is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name != NAME_FILE and (_was_left(path) or not _is_waited_for(path)):
            path.unlink(missing_ok=True)


def _was_left(path: Path) -> bool:
    try:
        return path.name.endswith(BEGUN) and time.time() - path.stat().st_mtime > BEGUN_KEPT_SECONDS
    except FileNotFoundError:
        return False


def _is_waited_for(path: Path) -> bool:
    """Whether a file of the spool belongs to an output that waits; one that is being named waits for itself."""
    key = path.name.partition(".")[0]
    if not (key.isascii() and key.isdigit()):
        return path.name.endswith(BEGUN)
    return Output.objects.filter(pk=int(key), state=Output.State.WAITING).exists()


def _path(output: Output) -> Path:
    return Path(settings.SPOOL_DIR or os.devnull) / str(output.pk)
