"""JSON bodies: what is read and what is refused, each with its reason."""

import tracemalloc

import pytest
from rest_framework.exceptions import ParseError, ValidationError

from accounts.api.bodies import MOST_DEPTH, MOST_PARTS, read_object
from accounts.api.given import IdField, TextField


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
            (nested(10_000), "deeper than 20"),
            (b"[" * 10_000, "deeper than 20"),
            (b"[" * 100_000, "more than 20000 parts"),
        ],
    )
    def test_refuses_with_a_reason(self, body: bytes, reason: str) -> None:
        with pytest.raises(ParseError) as caught:
            read_object(body)

        assert reason in str(caught.value.detail)

    @pytest.mark.parametrize("part", [b"[],", b"{},", b"1,", b"[[[["])
    def test_holds_no_more_than_the_body_for_a_bomb(self, part: bytes) -> None:
        body = b'{"prompt":[' + part * 500_000 + b"1]}"
        tracemalloc.start()

        with pytest.raises(ParseError, match="parts"):
            read_object(body)

        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < len(body)

    def test_reads_the_longest_prompt_of_commas(self) -> None:
        prompt = "," * 10_000

        assert len(prompt) < MOST_PARTS
        assert read_object(f'{{"prompt": "{prompt}"}}'.encode()) == {"prompt": prompt}


class TestText:
    @pytest.mark.parametrize("value", [7, 7.5, True, ["lake"]])
    def test_is_a_string_and_nothing_else(self, value: object) -> None:
        with pytest.raises(ValidationError):
            TextField().run_validation(value)

        assert TextField().run_validation("7") == "7"


class TestId:
    @pytest.mark.parametrize("value", [7, True, None, "lake"])
    def test_is_written_as_one(self, value: object) -> None:
        with pytest.raises(ValidationError):
            IdField().run_validation(value)

        assert IdField().run_validation("01a227a7-63b1-7007-9454-3a624c16cece").version == 7
