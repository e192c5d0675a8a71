"""`docs/money.md` says what each end books; here each of its rows is lived through and held against it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.conf import settings

from accounts import quotas
from accounts.limits import Limit
from accounts.models import DailySpend, LedgerEntry, QuotaPeriod
from accounts.money import dollars
from generation.lifecycle import apply_update, cancel_prediction, current_attempt, fail_unsent, finish_storing
from generation.models import Attempt, Output, Prediction
from generation.providers.base import ProviderPrediction
from generation.tests.making import NOW, SEEDANCE, done, make_prediction, make_sent, make_user, says
from generation.work.again import store_again

pytestmark = pytest.mark.django_db
LATER: Final = NOW + timedelta(seconds=40)
DOCUMENT: Final = (settings.BASE_DIR / "docs" / "money.md").read_text()
ROW: Final = re.compile(
    r"^\| (?P<end>[^|]+) \| (?P<request>film|pictures) \| (?P<booked>[^|]+) \| (?P<money>[^|]+) \|", re.M
)
FILM: Final[dict[str, Any]] = {"model": SEEDANCE, "duration": 5, "resolution": "720p"}
PICTURES: Final[dict[str, Any]] = {"model": "black-forest-labs/flux-schnell", "num_outputs": 4}
SECONDS: Final = "video_output_duration_seconds"
FILES: Final = [f"https://replicate.delivery/a/{index}.webp" for index in range(4)]


def ends(update: ProviderPrediction, *, started: bool = False, **request: Any) -> Prediction:
    """Sent, and then the provider says so."""
    prediction, attempt = make_sent(**request)
    if started:
        apply_update(attempt=attempt, update=says("processing", started_at=NOW), now=LATER)
    apply_update(attempt=attempt, update=update, now=LATER)
    return prediction


def film(update: ProviderPrediction, **more: Any) -> Prediction:
    return ends(update, **FILM, **more)


def pictures(*states: str, files: int = 4) -> Prediction:
    """So many files came; what became of each."""
    prediction = ends(says("succeeded", output=FILES[:files], metrics={"image_output_count": files}), **PICTURES)
    for index, state in enumerate(states):
        Output.objects.filter(index=index).update(state=state, due_at=None)
    finish_storing(prediction_id=prediction.pk, now=LATER)
    return prediction


def stored_later() -> Prediction:
    """All files were lost, and an administrator has found them."""
    prediction = pictures("lost", "lost", "lost", "lost")
    store_again(prediction=prediction, now=LATER)
    Output.objects.update(state=Output.State.STORED, due_at=None)
    finish_storing(prediction_id=prediction.pk, now=LATER)
    return prediction


def unsent() -> Prediction:
    return cancel_prediction(prediction=make_prediction(**FILM), now=LATER)


def passing_faults(count: int) -> Prediction:
    """So many in a row that pass by themselves, and then a film where there is an attempt left."""
    prediction, attempt = make_sent(**FILM)
    for number in range(count):
        Attempt.objects.filter(pk=attempt.pk).update(provider_id=f"p{number}")
        attempt.refresh_from_db()
        fault = says("failed", id=f"p{number}", error="E9828: the machine went away")
        apply_update(attempt=attempt, update=fault, now=LATER)
        attempt = current_attempt(prediction)
    if attempt.completed_at is None:
        apply_update(attempt=attempt, update=done(id="p9", metrics={SECONDS: 5}), now=LATER)
    return prediction


def lost_in_sending(*, found: bool = False) -> Prediction:
    prediction, attempt = make_sent(provider_id=None, **FILM)
    fail_unsent(prediction=prediction, code="lost_in_sending", now=LATER)
    if found:
        apply_update(attempt=attempt, update=done(metrics={SECONDS: 5}), now=LATER)
    return prediction


ENDS: Final[dict[str, Callable[[], Prediction]]] = {
    "succeeded, 5 s reported": lambda: film(done(metrics={SECONDS: 5})),
    "succeeded, 4.2 s reported": lambda: film(done(metrics={SECONDS: 4.2})),
    "succeeded, 6 s reported": lambda: film(done(metrics={SECONDS: 6})),
    "succeeded, no figures": lambda: film(done()),
    "succeeded, three files came": lambda: pictures("stored", "stored", "stored", files=3),
    "canceled before it was sent": unsent,
    "canceled before it started": lambda: film(says("canceled")),
    "canceled while it ran, 2 s reported": lambda: film(says("canceled", metrics={SECONDS: 2}), started=True),
    "canceled while it ran, no figures": lambda: film(says("canceled"), started=True),
    "failed": lambda: film(says("failed", error="the model could not")),
    "aborted (not started in time)": lambda: film(says("aborted")),
    "failed in passing, then 5 s": lambda: passing_faults(1),
    "failed in passing three times": lambda: passing_faults(3),
    "lost in sending": lost_in_sending,
    "lost in sending, found later": lambda: lost_in_sending(found=True),
    "one file of four lost": lambda: pictures("stored", "lost", "stored", "stored"),
    "all files lost": lambda: pictures("lost", "lost", "lost", "lost"),
    "all files lost, and stored later": stored_later,
    "succeeded without any file": lambda: pictures(files=0),
    "erased before we heard of it": lambda: film(says("succeeded", data_removed=True)),
}


def told() -> dict[str, tuple[str, str]]:
    """The rows of the document: end to (entries after the hold, what is charged and counted)."""
    return {row["end"].strip(): (row["booked"].strip(), row["money"].strip()) for row in ROW.finditer(DOCUMENT)}


def entry_in_words(entry: LedgerEntry) -> str:
    words = f"`{entry.kind}` {dollars(entry.amount_micros)}"
    return f"{words}, estimated" if entry.estimated else words


def booked() -> str:
    [_, *following] = LedgerEntry.objects.order_by("id")
    return ", ".join(map(entry_in_words, following))


def money() -> str:
    """As every counter has it: day and month, site and user alike."""
    rows = QuotaPeriod.objects.values_list("settled_micros", "settled_count", "reserved_micros", "reserved_count")
    [(micros, count, *held)] = set(rows)
    assert held == [0, 0]
    return f"{dollars(micros)}, counts {count}"


class TestEachEnd:
    def test_is_in_the_document_once(self) -> None:
        rows = [row["end"].strip() for row in ROW.finditer(DOCUMENT)]

        assert sorted(rows) == sorted(ENDS)

    @pytest.mark.parametrize("name", ENDS)
    def test_books_what_the_document_says(self, name: str) -> None:
        prediction = ENDS[name]()

        assert (booked(), money()) == told()[name]
        prediction.refresh_from_db()
        assert f"{dollars(prediction.cost_micros or 0)}, counts" in money()

    @pytest.mark.parametrize("name", ENDS)
    def test_is_in_the_daily_sums_as_in_the_counters(self, name: str) -> None:
        ENDS[name]()

        sums = list(DailySpend.objects.values_list("micros", "count", "ended"))
        ended = [row for row in sums if row != (0, 0, 0)]
        assert len(ended) == 1 and ended[0][2] == 1
        assert f"{dollars(ended[0][0])}, counts {ended[0][1]}" == money()
        assert quotas.recompute(now=LATER) == []


class TestOtherExamples:
    def test_hold_the_dearest_outcome(self) -> None:
        assert make_prediction(**FILM).estimated_micros == 180_000
        several = make_prediction(user=Prediction.objects.get().user, **PICTURES)
        assert (several.estimated_micros, several.quote["up_to"]) == (12_000, True)

    def test_of_an_increase_and_an_own_limit(self) -> None:
        assert Limit(granted=5_000_000, increase=2_000_000, own=6_000_000).in_force == 6_000_000
        assert Limit(granted=5_000_000, increase=2_000_000, own=None).in_force == 7_000_000

    def test_let_in_what_meets_a_limit_exactly(self) -> None:
        user = make_user(daily_micros_limit=180_000)
        make_prediction(user=user, **FILM)

        with pytest.raises(quotas.QuotaExceeded):
            make_prediction(user=user, **PICTURES)

    def test_belong_to_the_month_of_the_reservation(self) -> None:
        evening, after = datetime(2026, 7, 31, 23, 59, tzinfo=UTC), datetime(2026, 8, 1, 0, 1, tzinfo=UTC)
        prediction, attempt = make_sent(now=evening, **FILM)
        apply_update(attempt=attempt, update=done(metrics={SECONDS: 5}), now=after)

        july, august = (quotas.usage(user=prediction.user, now=now).month.usd for now in (evening, after))
        assert (july.settled, august.settled, august.reserved) == (180_000, 0, 0)
        assert DailySpend.objects.get().day == evening.date()
