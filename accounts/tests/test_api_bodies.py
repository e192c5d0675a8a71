"""JSON bodies: what is read and what is refused, each with its reason."""

import pytest
from rest_framework.exceptions import ParseError

from accounts.api.bodies import MOST_DEPTH, read_object


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


class TestReadObject:
    def test_reads_an_object(self) -> None:
        assert read_object('{"prompt": "Böschung 🎬", "n": [1, 2.5, null]}'.encode()) == {
            "prompt": "Böschung 🎬",
            "n": [1, 2.5, None],
        }

    def test_reads_the_deepest_that_is_allowed(self) -> None:
        assert read_object(nested(MOST_DEPTH))

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "not valid JSON"),
            (b"{", "not valid JSON"),
            (b'{"a": 1}x', "line 1, column 9"),
            (b"\xff\xfe", "not UTF-8"),
            (b"\xef\xbb\xbf{}", "not valid JSON"),
            (b"[1]", "JSON object"),
            (b'"text"', "JSON object"),
            (b"null", "JSON object"),
            (b'{"a": NaN}', "number that JSON does not have"),
            (b'{"a": -Infinity}', "number that JSON does not have"),
            (b'{"a": 1e999}', "number that JSON does not have"),
            (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
            (b'{"a": 1, "a": 2}', "one member twice"),
            (b'{"a": {"b": 1, "b": 1}}', "one member twice"),
            (rb'{"a": "x\u0000y"}', "cannot be stored"),
            (rb'{"a\u0000": 1}', "cannot be stored"),
            (rb'{"a": ["\ud800"]}', "cannot be stored"),
            (nested(MOST_DEPTH + 1), "deeper than 20"),
            (nested(100_000), "deeper than 20"),
            (b"[" * 100_000, "deeper than 20"),
        ],
    )
    def test_refuses_with_a_reason(self, body: bytes, reason: str) -> None:
        with pytest.raises(ParseError) as caught:
            read_object(body)

        assert reason in str(caught.value.detail)
