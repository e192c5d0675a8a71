"""Files that this host has just stored, kept for the moment until what shows them is made of them.

Each is named by its key, under which nothing is ever written twice, so it is what the store has. Whoever takes one has
it alone; who finds none reads from the store.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from django.conf import settings

MOST_BYTES: Final = 1024**3
# Another host may have made its derivatives.
KEPT_SECONDS: Final = 15 * 60


def keep(path: Path, key: str) -> None:
    """Move the file at `path`, whose bytes are stored under `key`, here; where there is no room the oldest go."""
    with contextlib.suppress(OSError):
        size = path.stat().st_size
        if size > MOST_BYTES:
            return
        place = _place(key)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(size)
        path.replace(place)


def take(key: str, to: Path) -> bool:
    """Move the bytes of `key` to `to`; False where they are not here."""
    try:
        _place(key).replace(to)
    except OSError:
        return False
    return True


def drop(key: str) -> None:
    """Forget what is stored no longer."""
    _remove(_place(key))


def sweep() -> None:
    """Remove what nobody has taken in time."""
    for path, _, modified_at in _kept():
        if time.time() - modified_at > KEPT_SECONDS:
            _remove(path)


def _make_room(size: int) -> None:
    # A host may have no chores.
    sweep()
    kept = sorted(_kept(), key=lambda one: one[2])
    taken = sum(size for _, size, _ in kept)
    for path, freed, _ in kept:
        if taken + size <= MOST_BYTES:
            return
        _remove(path)
        taken -= freed


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _kept() -> list[tuple[Path, int, float]]:
    """Each with its bytes and when it was written; some may be taken meanwhile."""
    found = []
    with contextlib.suppress(OSError), os.scandir(_folder()) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                about = entry.stat()
                found.append((Path(entry.path), about.st_size, about.st_mtime))
    return found


def _place(key: str) -> Path:
    return _folder() / key.replace("/", "_")


def _folder() -> Path:
    return Path(settings.DATA_DIR) / "near"
