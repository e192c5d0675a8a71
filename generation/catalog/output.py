"""What a run has made and how far it is, read from the provider's `output` and `logs`, whatever their shape."""

import re
from collections.abc import Iterator
from typing import Any, Final

MOST_ADDRESSES: Final = 64
DEEPEST: Final = 8
# Without a space: "Sorry:I cannot show that" is no address, though it begins like one.
ADDRESS: Final = re.compile(r"data:.+|[A-Za-z][A-Za-z0-9+.-]{0,30}:\S+", re.DOTALL | re.IGNORECASE)
# tqdm's ` 38%|███▊      | 6/16 [00:02<00:03]`; the tail is enough, since the last one counts.
TQDM: Final = re.compile(r"([0-9]{1,3})%\|[^|\r\n]{0,200}\|\s{0,20}([0-9]{1,9})/([0-9]{1,9})")
LOG_TAIL: Final = 64 * 1024


def read_output(raw: Any) -> list[str]:
    """The addresses in a string, a list, an object or any nesting of them, in order, at most 64.

    Whether one may be fetched is for the fetcher to say; what is no address at all (prose, numbers) is left out.
    """
    found = []
    for text in _strings(raw, 0):
        if ADDRESS.fullmatch(text) and "\x00" not in text:
            found.append(text)
            if len(found) == MOST_ADDRESSES:
                break
    return found


def _strings(raw: Any, depth: int) -> Iterator[str]:
    if isinstance(raw, str):
        yield raw.strip()
    elif isinstance(raw, list | tuple | dict) and depth < DEEPEST:
        for item in raw.values() if isinstance(raw, dict) else raw:
            yield from _strings(item, depth + 1)


def progress(logs: str) -> float | None:
    """The fraction that the last progress bar in the logs shows, 0 to 1; None without one.

    Most models behind another company's API write none.
    """
    bars = TQDM.findall(logs[-LOG_TAIL:])
    if not bars:
        return None
    percent, done, total = map(int, bars[-1])
    return min(done / total if total else percent / 100, 1.0)
