"""Reads multipart/form-data bodies that are already in memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

from generation.sandbox.answers import Problem


@dataclass(frozen=True)
class Part:
    """One field of a form."""

    data: bytes
    filename: str
    content_type: str


def parts_of(content_type: str, body: bytes) -> Mapping[str, Part]:
    """The parts by name; raises `Problem` for anything that is no such body."""
    found = re.search(r'multipart/form-data;.*boundary="?([^";]+)"?', content_type)
    if not found:
        raise Problem(415, "A multipart/form-data body is required")
    line = b"\r\n--" + found[1].encode("latin-1", "replace")
    parts = {}
    for section in (b"\r\n" + body).split(line)[1:]:
        if section.startswith(b"--"):
            break
        head, split, data = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not split:
            raise Problem(400, "The multipart body is broken")
        headers = Message()
        for raw in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = raw.partition(":")
            headers[name.strip()] = value.strip()
        field = headers.get_param("name", "", "content-disposition")
        parts[str(field)] = Part(data, str(headers.get_filename() or ""), headers.get("content-type", ""))
    return parts
