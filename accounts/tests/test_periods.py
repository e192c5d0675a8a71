"""Days and months begin when the clock on the site's wall says so."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from accounts import quotas
from accounts.periods import day_of, month_of
from accounts.quotas import QuotaExceeded
from accounts.tests.factories import hold, make_user

ZONES = ["UTC", "Europe/Lisbon", "Pacific/Kiritimati", "Africa/Cairo", "America/Havana", "Asia/Kathmandu"]


class TestWindows:
    def test_follow_the_time_zone(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Pacific/Kiritimati"

        late_in_july = datetime(2026, 7, 31, 10, tzinfo=UTC)

        assert day_of(late_in_july).starts_on == date(2026, 8, 1)
        assert month_of(late_in_july).starts_on == date(2026, 8, 1)

    def test_have_days_of_23_and_25_hours(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Lisbon"

        assert length(datetime(2026, 3, 29, 12, tzinfo=UTC)) == timedelta(hours=23)
        assert length(datetime(2026, 10, 25, 12, tzinfo=UTC)) == timedelta(hours=25)

    def test_begin_at_the_jump_where_summer_time_skips_midnight(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Africa/Cairo"

        window = day_of(datetime(2026, 4, 23, 12, tzinfo=UTC))

        assert window.resets_at.astimezone(UTC) == datetime(2026, 4, 23, 22, tzinfo=UTC)
        assert day_of(window.resets_at).starts_on == date(2026, 4, 24)

    @given(now=st.datetimes(datetime(2020, 1, 1), datetime(2036, 1, 1)), name=st.sampled_from(ZONES))
    def test_meet_without_gap_or_overlap(self, now: datetime, name: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("django.conf.settings.TIME_ZONE", name)
            for window_of in (day_of, month_of):
                window = window_of(now.replace(tzinfo=UTC))
                last, first = window.resets_at.astimezone(UTC) - timedelta(microseconds=1), window.resets_at

                assert window_of(last).starts_on == window.starts_on
                assert window_of(first.astimezone(UTC)).starts_on > window.starts_on


@pytest.mark.django_db
class TestReset:
    def test_gives_new_room_at_local_midnight_and_not_before(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Lisbon"  # UTC+1 in July
        user = make_user(daily_count_limit=1)
        hold(user, now=datetime(2026, 7, 16, 12, tzinfo=UTC))

        with pytest.raises(QuotaExceeded):
            hold(user, now=datetime(2026, 7, 16, 22, 59, 59, tzinfo=UTC))

        hold(user, now=datetime(2026, 7, 16, 23, tzinfo=UTC))

    def test_leaves_an_open_reservation_in_its_own_day(self) -> None:
        user = make_user(daily_count_limit=1)
        entry = hold(user, now=datetime(2026, 7, 16, 23, 59, tzinfo=UTC))
        after = datetime(2026, 7, 17, 0, 1, tzinfo=UTC)
        hold(user, now=after)

        quotas.release(reference=entry.reference, reason="failed", end="failed", now=after)

        with pytest.raises(QuotaExceeded):
            hold(user, now=after)


def length(now: datetime) -> timedelta:
    """How long the day of `now` lasts."""
    window = day_of(now)
    return window.resets_at.astimezone(UTC) - datetime.combine(
        window.starts_on, datetime.min.time(), tzinfo=window.resets_at.tzinfo
    ).astimezone(UTC)
