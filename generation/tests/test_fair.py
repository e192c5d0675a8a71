"""The order of those who wait, as a function of plain data."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.work.fair import STAFF_MINUTES, Caps, Pace, Running, Waiting, choose, forecast

NOW = datetime(2026, 7, 16, 12, 0, tzinfo=UTC)
ADA, BOB, EVE = 1, 2, 3
OPEN, AT_ONCE = Caps(1000, 1000), Pace()


def item(
    number: int,
    user: int = ADA,
    *,
    minutes: float = 0,
    model: str = "m",
    served: float | None = None,
    staff: bool = False,
) -> Waiting:
    """Waiting for so many minutes; `served` is how many minutes ago its user was last given a slot."""
    served_at = None if served is None else NOW - timedelta(minutes=served)
    return Waiting(UUID(int=number), user, model, NOW - timedelta(minutes=minutes), served_at, staff)


def chosen(
    waiting: Sequence[Waiting], *, running: Sequence[Running] = (), caps: Caps = OPEN, limit: int = 99
) -> list[int]:
    """Numbers of the chosen, in order."""
    return [one.id.int for one in choose(waiting=waiting, running=running, caps=caps, limit=limit, now=NOW)]


def foreseen(
    waiting: Sequence[Waiting],
    *,
    running: Sequence[Running] = (),
    caps: Caps = OPEN,
    usual: Callable[[str], float] = lambda model: 10.0,
    pace: Pace = AT_ONCE,
) -> list[tuple[int, float]]:
    """Numbers in order, with the seconds until each goes."""
    order = forecast(waiting=waiting, running=running, caps=caps, usual_seconds=usual, pace=pace, now=NOW)
    return [(one.id.int, round(seconds, 3)) for one, seconds in order]


class TestTurns:
    def test_give_each_user_a_first_before_anybody_a_second(self) -> None:
        assert chosen([item(1, ADA, minutes=9), item(2, ADA, minutes=9), item(3, BOB, minutes=1)]) == [1, 3, 2]

    def test_go_by_age_among_equals(self) -> None:
        assert chosen([item(1, ADA, minutes=1), item(2, BOB, minutes=2), item(3, EVE, minutes=3)]) == [3, 2, 1]

    def test_go_by_age_among_ones_own(self) -> None:
        assert chosen([item(1, minutes=1), item(2, minutes=3), item(3, minutes=2)]) == [2, 3, 1]

    def test_count_what_a_user_has_running(self) -> None:
        assert chosen([item(1, ADA), item(2, BOB)], running=[Running(ADA, "m")]) == [2, 1]

    def test_take_no_more_than_asked_for(self) -> None:
        assert chosen([item(1), item(2), item(3)], limit=2) == [1, 2]


class TestAge:
    def test_improves_a_rank_by_one_in_a_minute(self) -> None:
        running = [Running(ADA, "m"), Running(ADA, "m")]

        assert chosen([item(1, ADA, minutes=1.9), item(2, BOB)], running=running) == [2, 1]
        assert chosen([item(1, ADA, minutes=2.1), item(2, BOB)], running=running) == [1, 2]

    def test_begins_anew_when_the_user_was_served(self) -> None:
        assert chosen([item(1, ADA, minutes=90, served=0.5), item(2, BOB, minutes=1)]) == [2, 1]

    def test_begins_anew_within_one_choice(self) -> None:
        old = [item(number, ADA, minutes=90) for number in range(1, 9)]

        assert chosen([*old, item(99, BOB)])[:2] == [1, 99]

    def test_lets_nobody_wait_for_an_endless_row_of_newcomers(self) -> None:
        """Ada has one running for ever and waits for a second slot; each moment somebody new comes."""
        line, moment, number = [item(1, ADA, served=0)], NOW, 100
        for _ in range(240):
            moment += timedelta(seconds=1)
            number += 1
            line.append(Waiting(UUID(int=number), number, "m", moment))
            [next_one] = choose(waiting=line, running=[Running(ADA, "m")], caps=OPEN, limit=1, now=moment)
            line.remove(next_one)
            if next_one.user == ADA:
                break

        assert moment - NOW <= timedelta(minutes=2)


class TestStaff:
    def test_goes_before_what_came_a_little_earlier(self) -> None:
        assert chosen([item(1, BOB, minutes=STAFF_MINUTES - 0.1), item(2, ADA, staff=True)]) == [2, 1]

    def test_goes_after_what_has_waited_long(self) -> None:
        assert chosen([item(1, BOB, minutes=STAFF_MINUTES + 0.1), item(2, ADA, staff=True)]) == [1, 2]


class TestCaps:
    def test_bound_all_together(self) -> None:
        assert chosen([item(n, n) for n in range(1, 6)], running=[Running(9, "m")], caps=Caps(3, 9)) == [1, 2]

    def test_bound_a_user_however_long_they_wait(self) -> None:
        waiting = [item(n, ADA, minutes=600) for n in range(1, 6)]

        assert chosen(waiting, running=[Running(ADA, "m")], caps=Caps(99, 3)) == [1, 2]

    def test_bound_a_model_and_let_the_users_next_of_another_pass(self) -> None:
        caps = Caps(99, 9, {"film": 1})
        waiting = [item(1, model="film", minutes=3), item(2, model="film", minutes=2), item(3, model="m", minutes=1)]

        assert chosen(waiting, caps=caps) == [1, 3]
        assert chosen(waiting, running=[Running(BOB, "film")], caps=caps) == [3]

    def test_of_nought_let_nothing_pass(self) -> None:
        assert chosen([item(1, model="film"), item(2)], caps=Caps(9, 9, {"film": 0})) == [2]


class TestACrowd:
    @pytest.mark.parametrize(("slots", "own"), [(1, 1), (1, 4), (4, 4), (8, 4)])
    def test_of_one_user_delays_another_by_two_slots_at_most(self, slots: int, own: int) -> None:
        """Whenever she comes, and however the slots become free: hers is among the next three that go."""
        draw, moment = random.Random(slots * own), NOW
        for comes in range(20, 60, 5):
            served: dict[int, datetime] = {}
            held: list[Waiting] = []
            waiting = [Waiting(UUID(int=n), BOB, "m", NOW - timedelta(hours=5)) for n in range(1, 101)]
            went: list[int] = []
            for turn in range(comes + 4):
                moment += timedelta(seconds=draw.uniform(0, 90))
                if held:
                    held.pop(draw.randrange(len(held)))
                if turn == comes:
                    waiting, went = [*waiting, Waiting(UUID(int=10**6), ADA, "m", moment)], []
                picks = choose(
                    waiting=[replace(one, served_at=served.get(one.user)) for one in waiting],
                    running=[Running(one.user, "m") for one in held],
                    caps=Caps(slots, own),
                    limit=9,
                    now=moment,
                )
                taken = {one.id for one in picks}
                waiting = [one for one in waiting if one.id not in taken]
                served |= {one.user: moment for one in picks}
                held += picks
                went += [one.user for one in picks]

            assert went.index(ADA) <= 2


class TestForecast:
    def test_plays_the_order_forward_as_slots_become_free(self) -> None:
        waiting = [item(1, ADA, minutes=3), item(2, ADA, minutes=2), item(3, BOB, minutes=1)]

        assert foreseen(waiting, caps=Caps(1, 4)) == [(1, 0.0), (3, 10.0), (2, 20.0)]

    def test_waits_for_what_is_running(self) -> None:
        running = [Running(BOB, "m", 4.0), Running(BOB, "m", 7.0)]

        assert foreseen([item(1), item(2)], running=running, caps=Caps(2, 4)) == [(1, 4.0), (2, 7.0)]

    def test_knows_how_long_each_model_takes(self) -> None:
        usual = {"film": 60.0, "still": 5.0}

        assert foreseen(
            [item(1, model="film", minutes=2), item(2, model="still"), item(3, BOB, model="still", minutes=1)],
            caps=Caps(1, 1),
            usual=usual.__getitem__,
        ) == [(1, 0.0), (3, 60.0), (2, 65.0)]

    def test_keeps_to_the_caps_of_user_and_model(self) -> None:
        waiting = [item(1, minutes=3), item(2, minutes=2), item(3, BOB, model="film"), item(4, EVE, model="film")]

        assert foreseen(waiting, caps=Caps(9, 1, {"film": 1})) == [(1, 0.0), (3, 0.0), (2, 10.0), (4, 10.0)]

    def test_keeps_to_the_rate(self) -> None:
        waiting = [item(n, n) for n in range(1, 5)]

        assert foreseen(waiting, pace=Pace(2.0, burst=2, slot_seconds=-60.0)) == [
            (1, 0.0),
            (2, 0.0),
            (3, 2.0),
            (4, 4.0),
        ]
        assert foreseen(waiting[:2], pace=Pace(2.0, burst=1, slot_seconds=5.0)) == [(1, 7.0), (2, 9.0)]

    def test_leaves_out_what_can_never_go(self) -> None:
        assert foreseen([item(1, model="film"), item(2)], caps=Caps(9, 9, {"film": 0})) == [(2, 0.0)]


users = st.integers(1, 6)
models = st.sampled_from(["still", "film", "song"])
queues = st.lists(st.builds(tuple, st.tuples(users, models, st.integers(0, 300))), max_size=60)
holders = st.lists(st.tuples(users, models, st.integers(0, 100)), max_size=12)
limits = st.builds(
    lambda total, own, film, song: Caps(total, own, {"film": film, "song": song}),
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 9),
)


def queue(drawn: Sequence[tuple[int, str, int]]) -> list[Waiting]:
    """Drawn users, models and ages as items; every second user was served a while ago, the sixth is staff."""
    return [
        item(n, user, model=model, minutes=age / 10, served=user * 3 if user % 2 else None, staff=user == 6)
        for n, (user, model, age) in enumerate(drawn, start=1)
    ]


class TestWhateverTheQueue:
    @given(drawn=queues, held=holders, caps=limits, limit=st.integers(0, 20))
    def test_no_cap_is_passed_by_a_choice(
        self, drawn: list[tuple[int, str, int]], held: list[tuple[int, str, int]], caps: Caps, limit: int
    ) -> None:
        running = [Running(user, model) for user, model, _ in held]
        picks = choose(waiting=queue(drawn), running=running, caps=caps, limit=limit, now=NOW)

        holding: list[Running | Waiting] = [*running, *picks]
        of_user, of_model = Counter(one.user for one in holding), Counter(one.model for one in holding)
        assert len(picks) <= limit
        assert len({one.id for one in picks}) == len(picks)
        assert not picks or len(running) + len(picks) <= caps.total
        for one in picks:
            assert of_user[one.user] <= caps.per_user
            assert of_model[one.model] <= caps.models.get(one.model, len(of_model) + 99)

    @given(drawn=queues, held=holders, caps=limits)
    def test_nothing_waits_that_could_go(
        self, drawn: list[tuple[int, str, int]], held: list[tuple[int, str, int]], caps: Caps
    ) -> None:
        running = [Running(user, model) for user, model, _ in held]
        waiting = queue(drawn)
        picks = choose(waiting=waiting, running=running, caps=caps, limit=99, now=NOW)

        holding: list[Running | Waiting] = [*running, *picks]
        of_user, of_model = Counter(one.user for one in holding), Counter(one.model for one in holding)
        for one in set(waiting) - set(picks):
            assert (
                len(holding) >= caps.total
                or of_user[one.user] >= caps.per_user
                or of_model[one.model] >= caps.models.get(one.model, 10**6)
            )

    @given(drawn=queues, held=holders, caps=limits)
    def test_everybody_has_one_place_and_nobody_is_left_out(
        self, drawn: list[tuple[int, str, int]], held: list[tuple[int, str, int]], caps: Caps
    ) -> None:
        waiting = queue(drawn)
        running = [Running(user, model, left) for user, model, left in held]
        order = foreseen(waiting, running=running, caps=caps, pace=Pace(0.5, burst=3))

        assert sorted(number for number, _ in order) == [one.id.int for one in waiting]
        assert [seconds for _, seconds in order] == sorted(seconds for _, seconds in order)

    @given(drawn=queues, held=holders, caps=limits)
    def test_a_forecast_begins_as_the_choice_does(
        self, drawn: list[tuple[int, str, int]], held: list[tuple[int, str, int]], caps: Caps
    ) -> None:
        running = [Running(user, model, left + 1) for user, model, left in held]

        now_going = chosen(queue(drawn), running=running, caps=caps)

        order = foreseen(queue(drawn), running=running, caps=caps)
        assert [number for number, seconds in order if seconds == 0] == now_going

    @given(drawn=queues, caps=limits, rank=st.randoms(use_true_random=False))
    def test_the_order_in_which_rows_come_changes_nothing(
        self, drawn: list[tuple[int, str, int]], caps: Caps, rank: random.Random
    ) -> None:
        waiting = queue(drawn)
        shuffled = list(waiting)
        rank.shuffle(shuffled)

        assert foreseen(shuffled, caps=caps) == foreseen(waiting, caps=caps)
