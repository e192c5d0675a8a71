"""Micro-dollars are written exactly."""

import pytest

from accounts.money import dollars, usd


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
