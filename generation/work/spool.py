"""Outputs that were fetched while the store was down, kept on this host until it answers again.

A spooled file belongs to the host that is named on its row and does not stop its clock: another host may still fetch
the output from the provider, as long as it is there.
"""

import contextlib
import os
import shutil
import socket
import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from gallery.faultpoints import faultpoint
from generation.models import Output

# How long after the provider's hour a file in the spool of a host that does not show itself is waited for.
KEPT_ELSEWHERE = timedelta(hours=24)
NAME_FILE = "host"


def host() -> str:
    """The name of this spool, kept in it: a container that starts anew on the same disk has another host name."""
    folder: Path | None = settings.SPOOL_DIR
    if folder is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME_FILE
    with contextlib.suppress(FileExistsError), path.open("x") as file:
        file.write(f"{socket.gethostname()[:60]}-{uuid.uuid4()}")
    return path.read_text()


def spooled(output: Output) -> Path | None:
    """The file of `output` if it lies here."""
    if not output.spool_host or output.spool_host != host():
        return None
    path = _path(output)
    return path if path.is_file() else None


def keep(output: Output, path: Path) -> bool:
    """Move a fetched file into the spool; False where there is none, or no room in it."""
    if spooled(output):
        return True
    folder: Path | None = settings.SPOOL_DIR
    if folder is None or not path.is_file():
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = sum(entry.stat().st_size for entry in os.scandir(folder))
        if taken + path.stat().st_size > settings.SPOOL_MAX_BYTES:
            return False
        # Copied under another name and renamed, so that a spooled file is always whole.
        begun = folder / f"{output.pk}.begun"
        shutil.copyfile(path, begun)
        begun.replace(_path(output))
        faultpoint("spool.kept")
    except OSError:
        return False
    Output.objects.filter(pk=output.pk, lease_token=output.lease_token).update(spool_host=host())
    output.spool_host = host()
    return True


def drop(output: Output) -> None:
    """Forget the file of an output that is stored or lost."""
    if output.spool_host and output.spool_host == host():
        _path(output).unlink(missing_ok=True)


def sweep() -> None:
    """Remove files of outputs that are no longer waited for: stored from another host, or deleted with their owner."""
    folder: Path | None = settings.SPOOL_DIR
    if folder is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name != NAME_FILE and not Output.objects.filter(pk=_owner(path), state=Output.State.WAITING).exists():
            path.unlink(missing_ok=True)


def _owner(path: Path) -> int:
    """The key of the output that a file of the spool belongs to; -1 for what is not ours."""
    name = path.name.removesuffix(".begun")
    return int(name) if name.isascii() and name.isdigit() else -1


def _path(output: Output) -> Path:
    return Path(settings.SPOOL_DIR or os.devnull) / str(output.pk)
