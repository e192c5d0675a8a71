"""JSON bodies read strictly: an object, shallow, each name once, with text that a database can hold."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MOST_DEPTH = 20
# Values in one body. A prompt of commas alone has half as many; each empty list would cost 56 bytes for its two.
MOST_PARTS = 20_000


class JSONObjectParser(BaseParser):
    """application/json as a dict. Everything else that JSON allows is a `ParseError` with its reason.

    The body's size is bounded before it gets here, by `palette.limits`.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Raises `ParseError` (400)."""
        return read_object(stream.read())


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that `body` is; raises `ParseError`."""
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_PARTS:
        raise ParseError(f"The body has more than {MOST_PARTS} parts.")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=each_name_once, parse_constant=refuse, parse_float=finite
        )
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        at = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ParseError(f"The body is not valid JSON{at}.") from None
    if not isinstance(value, dict):
        raise ParseError("The body has to be a JSON object.")
    check(value)
    return value


def each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two equal names counts differs between readers, so neither does."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ParseError("The body names one member twice.")
    return value


def finite(text: str) -> float:
    """1e999 would be read as infinity, which JSON cannot say."""
    number = float(text)
    return number if math.isfinite(number) else refuse(text)


def refuse(text: str) -> NoReturn:
    """NaN and infinities are no JSON."""
    raise ParseError("The body holds a number that JSON does not have.")


def check(value: Any, depth: int = 1) -> None:
    """Bound the depth; refuse NUL and lone surrogates, which PostgreSQL and UTF-8 cannot hold."""
    if isinstance(value, str):
        try:
            storable = b"\0" not in value.encode()
        except UnicodeEncodeError:
            storable = False
        if not storable:
            raise ParseError("The body holds text with a character that cannot be stored.")
    elif isinstance(value, (dict, list)):
        if depth > MOST_DEPTH:
            raise too_deep()
        for inner in value if isinstance(value, list) else (*value, *value.values()):
            check(inner, depth + 1)


def too_deep() -> ParseError:
    """More levels than anything we accept has."""
    return ParseError(f"The body is nested deeper than {MOST_DEPTH} levels.")
