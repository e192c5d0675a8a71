"""Micro-dollars are written exactly, and rounded where they are only looked at."""

import pytest

from accounts.money import dollars, rounded, usd


class TestUsd:
    @pytest.mark.parametrize(
        ("micros", "text"),
        [(0, "0.00"), (1, "0.000001"), (39_000, "0.039"), (5_000_000, "5.00"), (-150_000, "-0.15")],
    )
    def test_loses_nothing(self, micros: int, text: str) -> None:
        assert usd(micros) == text


class TestDollars:
    @pytest.mark.parametrize(
        ("micros", "text"),
        [(39_000, "$0.039"), (-150_000, "−$0.15"), (1_200_000_000, "$1,200.00")],
    )
    def test_puts_the_sign_before_the_currency(self, micros: int, text: str) -> None:
        assert dollars(micros) == text


class TestRounded:
    def test_shows_cents_where_there_are_dollars(self) -> None:
        assert rounded(29_675_905) == "$29.68"
        assert [rounded(micros) for micros in (999_999, 38_600, 400, -150_400)] == [
            "$1.00",
            "$0.039",
            "$0.0004",
            "−$0.15",
        ]
