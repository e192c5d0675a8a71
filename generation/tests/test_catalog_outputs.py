"""Whatever shape a run's output, logs and answers have, they are read or left, never a crash."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation import catalog
from generation.providers.answers import read_refusal
from generation.providers.replicate import read_prediction

ONE, TWO = "https://replicate.delivery/xezq/a/out-0.png", "https://replicate.delivery/xezq/a/out-1.png"
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


class TestReadOutput:
    @pytest.mark.parametrize(
        ("raw", "addresses"),
        [
            (ONE, [ONE]),
            (f" {ONE}\n", [ONE]),
            ([ONE, TWO], [ONE, TWO]),
            ([TWO, None, 7, ONE], [TWO, ONE]),
            ({"images": [ONE], "video": {"url": TWO}}, [ONE, TWO]),
            ([[[ONE]]], [ONE]),
            ("data:image/png;base64,AAAA", ["data:image/png;base64,AAAA"]),
            ("javascript:alert(1)", ["javascript:alert(1)"]),
            (None, []),
            ("", []),
            ([], []),
            ({}, []),
            (7, []),
            (True, []),
            ("a fox in the snow: red on white", []),
            ("Sorry:I can only describe that picture.", []),
            (["file:///etc/passwd", "http://10.0.0.1/x"], ["file:///etc/passwd", "http://10.0.0.1/x"]),
            (ONE + "\x00", []),
        ],
    )
    def test_finds_the_addresses(self, raw: Any, addresses: list[str]) -> None:
        assert catalog.read_output(raw) == addresses

    def test_stops_at_64(self) -> None:
        assert catalog.read_output([ONE] * 5000) == [ONE] * 64

    def test_does_not_follow_endless_nesting(self) -> None:
        deep: Any = ONE
        for _ in range(5000):
            deep = [deep]

        assert catalog.read_output(deep) == []


class TestProgress:
    @pytest.mark.parametrize(
        ("logs", "fraction"),
        [
            ("", None),
            ("Using seed: 42\nloading", None),
            ("50%", None),
            (" 38%|███▊      | 6/16 [00:02<00:03,  2.9it/s]", 0.375),
            ("  0%|   | 0/4\r 25%|█  | 1/4\r100%|███| 4/4", 1.0),
            ("100%|███| 16/16\n  0%|   | 0/5", 0.0),
            ("500%|███| 80/16", 1.0),
            ("50%|███| 0/0", 0.5),
            ("10%|█| 1/10\n" + "x" * 200_000, None),
        ],
    )
    def test_is_what_the_last_bar_shows(self, logs: str, fraction: float | None) -> None:
        assert catalog.progress(logs) == fraction

    @given(st.text(st.sampled_from("0189%|/ \r\n█.["), max_size=400))
    def test_stays_between_nothing_and_all(self, logs: str) -> None:
        found = catalog.progress(logs)

        assert found is None or 0 <= found <= 1


class TestReadPrediction:
    def test_keeps_the_end_of_five_megabytes_of_logs(self) -> None:
        found = read_prediction({"id": "a", "status": "failed", "logs": "x" * 5_000_000 + "the end"})

        assert len(found.logs) == 64 * 1024
        assert found.logs.endswith("the end")
        assert found.raw["logs"] == found.logs

    def test_reads_an_error_that_is_no_text(self) -> None:
        assert read_prediction({"id": "a", "error": {"code": 7}}).error == '{"code": 7}'

    def test_lives_without_any_field(self) -> None:
        found = read_prediction({})

        assert (found.id, found.status, found.output, found.metrics, found.logs) == ("", "", None, {}, "")

    def test_replaces_what_no_database_keeps(self) -> None:
        found = read_prediction(
            json.loads('{"id": "a", "error": "x\\u0000y\\ud800", "metrics": {"predict_time": NaN}}')
        )

        assert found.error == "x�y�"
        assert found.metrics == {"predict_time": None}

    @pytest.mark.parametrize("raw", [None, [], "x", 7, True])
    def test_is_an_object(self, raw: Any) -> None:
        with pytest.raises(TypeError):
            read_prediction(raw)

    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2026-11-20T10:00:00Z", NOW),
            ("2026-11-20T10:00:00", NOW),
            ("2026-11-20T12:00:00.000000000+02:00", NOW),
            ("soon", None),
            ("", None),
            (1_700_000_000, None),
            ("0001-01-01T00:00:00+14:00", None),
        ],
    )
    def test_reads_times_as_they_come(self, text: Any, time: datetime | None) -> None:
        assert read_prediction({"created_at": text}).created_at == time


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    [
        *(
            "id",
            "status",
            "model",
            "input",
            "output",
            "error",
            "logs",
            "metrics",
            "created_at",
            "deadline",
            "data_removed",
        )
    ]
)


class TestAnything:
    @given(JSON)
    def test_is_read_as_addresses(self, raw: Any) -> None:
        found = catalog.read_output(raw)

        assert all(isinstance(address, str) for address in found)
        assert len(found) <= 64

    @given(st.dictionaries(FIELDS, JSON))
    def test_is_read_as_a_prediction_that_can_be_stored(self, raw: dict[str, Any]) -> None:
        found = read_prediction(raw)

        parts = [found.raw, found.output, found.error, found.status, dict(found.metrics)]
        stored = json.dumps(parts, allow_nan=False, ensure_ascii=False)
        assert "\\u0000" not in stored
        stored.encode()
        assert len(found.status) <= 40

    @given(
        st.integers(400, 599),
        st.dictionaries(st.sampled_from(["title", "detail", "status", "retry_after", "invalid_fields"]), JSON),
        st.text(max_size=12),
    )
    def test_is_read_as_a_refusal_or_as_none(self, status: int, body: dict[str, Any], header: str) -> None:
        found = read_refusal(status, {"retry-after": header}, body, now=NOW)

        assert (found is not None) == any(isinstance(body.get(name), str) for name in ("title", "detail"))
        if found and found.retry_after is not None:
            assert 1 <= found.retry_after <= 600
            assert math.isfinite(found.retry_after)
