"""ETags of answers: whoever has the newest already is told so in a few bytes."""

import hashlib
import json
from typing import Any, Final

from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.openapi import answer, header

# Kept if at all by the caller alone, and asked for again before each use.
CACHE: Final = "private, no-cache"
# What a view that answers so adds to its description.
UNCHANGED: Final = {304: answer("It is as you have it.")}
ETAG: Final = [
    header("ETag", "Give it back as `If-None-Match` to be told only of a change.", on=[200], required=True),
]


def conditional(request: Request, data: dict[str, Any]) -> Response:
    """200 with `data` and its ETag, or 304 where `If-None-Match` names it."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": CACHE}
    known = {given.removeprefix("W/") for given in parse_etags(request.headers.get("If-None-Match", ""))}
    if known & {etag, "*"}:
        return Response(status=304, headers=headers)
    return Response(data, headers=headers)
