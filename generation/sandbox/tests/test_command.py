"""`manage.py sandbox`."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from generation.sandbox.timing import BadSpeed, Pace


class TestCommand:
    def test_refuses_to_start_in_production(self, settings: Settings, tmp_path: Path) -> None:
        settings.PRODUCTION = True

        with pytest.raises(CommandError, match="not for production"):
            call_command("sandbox", "--data-dir", str(tmp_path))

    def test_names_what_is_wrong_with_a_speed(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="fast, real, instant or a positive number"):
            call_command("sandbox", "--data-dir", str(tmp_path), "--speed", "warp")


class TestPace:
    def test_is_about_three_and_six_seconds_when_fast(self) -> None:
        assert 2.5 < sum(Pace("fast").seconds("image", "some id")) < 3.5
        assert 5.0 < sum(Pace("fast").seconds("video", "some id")) < 7.0

    def test_is_a_fraction_of_real_for_a_number(self) -> None:
        assert sum(Pace("10").seconds("video", "x")) == pytest.approx(
            sum(Pace("real").seconds("video", "x")) / 10, abs=0.01
        )

    def test_is_nothing_when_instant(self) -> None:
        assert Pace("instant").seconds("video", "x") == (0.0, 0.0)

    @pytest.mark.parametrize("word", ["", "0", "-1", "nan", "inf"])
    def test_refuses_what_is_no_speed(self, word: str) -> None:
        with pytest.raises(BadSpeed):
            Pace(word)
