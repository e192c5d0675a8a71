"""Which bytes a Range header asks for (RFC 9110, section 14)."""

import re


class NotSatisfiable(Exception):
    """The range lies wholly behind the end."""


def asked_range(header: str, *, size: int) -> tuple[int, int] | None:
    """First and last byte of a single range; None where the whole is to be sent. Raises NotSatisfiable.

    Several ranges at once, other units and nonsense are answered with the whole, as the standard allows.
    """
    match = re.fullmatch(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", header, re.ASCII)
    if not match or match[1] == match[2] == "":
        return None
    if match[1] == "":
        first, last = max(size - int(match[2]), 0), size - 1
        if int(match[2]) == 0:
            raise NotSatisfiable
    else:
        first, last = int(match[1]), min(int(match[2] or size), size - 1)
        if match[2] and int(match[2]) < first:
            return None
    if first >= size:
        raise NotSatisfiable
    return first, last
