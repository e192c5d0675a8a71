"""Whoever moves state and money at once locks in one order, so that nobody waits in a circle."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from accounts import quotas
from accounts.tests.test_reserve import run_together
from generation.lifecycle import apply_update, cancel_prediction, current_attempt
from generation.models import Attempt, Prediction
from generation.tests.making import NOW, done, make_sent, says


@pytest.mark.django_db(transaction=True)
class TestAnAttemptFoundLater:
    def test_while_the_next_one_is_canceled_waits_for_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, first = make_sent()
        apply_update(
            attempt=first, update=says("failed", error="Prediction interrupted; please retry (code: PA)"), now=NOW
        )
        assert current_attempt(prediction).number == 2
        Attempt.objects.filter(pk=first.pk).update(completed_at=None)
        reached, failures = threading.Event(), []
        release = quotas.release

        def slowly(**given: Any) -> bool:
            # The canceled prediction is locked, and the money is not yet: whoever comes now must not turn it round.
            reached.set()
            threading.Event().wait(0.5)
            return release(**given)

        monkeypatch.setattr(quotas, "release", slowly)

        def guarded(work: Any) -> threading.Thread:
            def run() -> None:
                try:
                    work()
                except BaseException as error:
                    failures.append(error)
                finally:
                    connection.close()

            return threading.Thread(target=run)

        def cancel() -> None:
            cancel_prediction(prediction=Prediction.objects.get(pk=prediction.pk), now=NOW)

        def find() -> None:
            reached.wait(60)
            apply_update(attempt=first, update=done(), now=NOW + timedelta(minutes=1))

        run_together([guarded(cancel), guarded(find)])

        assert failures == []
        prediction.refresh_from_db()
        assert (prediction.status, prediction.cost_micros) == ("canceled", 39_000)
        assert quotas.recompute(now=NOW) == []
