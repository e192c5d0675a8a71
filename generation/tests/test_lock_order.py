"""Whoever moves state and money at once locks in one order, so that nobody waits in a circle."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection

from accounts import quotas
from accounts.tests.test_reserve import run_together
from generation.lifecycle import apply_update, cancel_prediction, current_attempt, finish_storing
from generation.models import Attempt, Output, Prediction
from generation.tests.making import NOW, done, make_sent, make_user, says


def guarded(work: Callable[[], object], failures: list[BaseException]) -> threading.Thread:
    """A thread that notes what goes wrong."""

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    return threading.Thread(target=run)


@pytest.mark.django_db(transaction=True)
class TestFilesThatAreLost:
    def test_here_and_at_the_provider_are_told_of_in_one_order(self) -> None:
        """Both change the same sums, and write the same alert."""
        ada, failures, acts = make_user(daily_count_limit=100), list[BaseException](), list[Callable[[], object]]()
        for number in range(12):
            here, attempt = make_sent(user=ada, provider_id=f"here-{number}")
            apply_update(attempt=attempt, update=done(id=f"here-{number}"), now=NOW)
            Output.objects.filter(prediction=here).update(
                state=Output.State.LOST, error_code="file_expired", due_at=None
            )
            acts.append(partial(finish_storing, prediction_id=here.pk, now=NOW))
            name = f"there-{number}"
            _, erased = make_sent(user=ada, provider_id=name)
            said = says("succeeded", id=name, data_removed=True)
            acts.append(partial(apply_update, attempt=erased, update=said, now=NOW))

        run_together([guarded(act, failures) for act in acts])

        assert failures == []
        assert set(Prediction.objects.values_list("status", flat=True)) == {"lost"}
        assert quotas.recompute(now=NOW) == []


@pytest.mark.django_db(transaction=True)
class TestAnAttemptFoundLater:
    def test_while_the_next_one_is_canceled_waits_for_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, first = make_sent()
        apply_update(
            attempt=first, update=says("failed", error="Prediction interrupted; please retry (code: PA)"), now=NOW
        )
        assert current_attempt(prediction).number == 2
        Attempt.objects.filter(pk=first.pk).update(completed_at=None)
        reached, failures = threading.Event(), list[BaseException]()
        release = quotas.release

        def slowly(**given: Any) -> bool:
            # The canceled prediction is locked, and the money is not yet: whoever comes now must not turn it round.
            reached.set()
            threading.Event().wait(0.5)
            return release(**given)

        monkeypatch.setattr(quotas, "release", slowly)

        def cancel() -> None:
            cancel_prediction(prediction=Prediction.objects.get(pk=prediction.pk), now=NOW)

        def find() -> None:
            reached.wait(60)
            apply_update(attempt=first, update=done(), now=NOW + timedelta(minutes=1))

        run_together([guarded(cancel, failures), guarded(find, failures)])

        assert failures == []
        prediction.refresh_from_db()
        assert (prediction.status, prediction.cost_micros) == ("canceled", 39_000)
        assert quotas.recompute(now=NOW) == []
