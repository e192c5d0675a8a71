"""How templates write money, time, sizes and shapes."""

from types import SimpleNamespace

import pytest

from accounts.sizes import size
from accounts.templatetags import studio


class TestUsd:
    @pytest.mark.parametrize(
        ("micros", "words"),
        [
            (0, "$0.00"),
            (39_000, "$0.039"),
            (150_000, "$0.15"),
            (4_212_300, "$4.21"),
            (1_234_567_000, "$1,234.57"),
            (400, "$0.0004"),
            (-39_000, "−$0.039"),
            (None, ""),
        ],
    )
    def test_shows_as_many_digits_as_the_amount_needs(self, micros: int | None, words: str) -> None:
        assert studio.usd(micros) == words


class TestTime:
    def test_counts_minutes_and_hours(self) -> None:
        assert [studio.clock(seconds) for seconds in (0, 52.9, 74, 3723)] == ["0:00", "0:52", "1:14", "1:02:03"]

    def test_names_short_runs_in_seconds(self) -> None:
        assert [studio.seconds(value) for value in (8.14, 74)] == ["8.1 s", "1:14"]
        assert [studio.span(value) for value in (10.5, 59.8)] == ["10 s", "1:00"]


class TestSize:
    def test_counts_in_thousands(self) -> None:
        assert [size(count) for count in (12, 1_000, 412_000, 1_800_000)] == [
            "12 B",
            "1.0 kB",
            "412 kB",
            "1.8 MB",
        ]


class TestRatio:
    @pytest.mark.parametrize(
        ("value", "word"),
        [("16:9", "r-16x9"), ("9:21", "r-9x16"), ("nonsense", "r-3x2"), ("0:0", "r-3x2")],
    )
    def test_takes_the_nearest_shape(self, value: str, word: str) -> None:
        assert studio.ratio(value) == word

    def test_reads_width_and_height(self) -> None:
        assert studio.ratio(SimpleNamespace(width=1080, height=1350)) == "r-4x5"


class TestPlaceholder:
    def test_is_three_colours_or_nothing(self) -> None:
        assert 'fill="#aa0000" stroke="#bb0000" color="#cc0000"' in studio.placeholder("aa0000bb0000cc0000")
        assert studio.placeholder('"><script>alert(1)') == ""


class TestOrdinal:
    def test_knows_the_teens(self) -> None:
        assert [studio.ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == (
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]
        )
