"""The pass over everything: what it finds at the provider, in the store and in the books, and what stays wrong."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Alert, LedgerEntry, QuotaPeriod
from gallery import audit, storage
from gallery.models import Asset
from generation import lifecycle, providers
from generation.models import Attempt, Output, Prediction, WebhookDelivery
from generation.reconcile import Findings, _set_aside, reconcile
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import SEEDANCE, done, make_prediction, make_sent
from generation.webhooks import inbox
from generation.work import doubt
from generation.work.lanes import LANES
from generation.work.loop import run_once, run_until_quiet

pytestmark = pytest.mark.django_db
FILM = {"prompt": "a foreign film", "duration": 2, "resolution": "480p"}
LANE = {lane.name: [lane] for lane in LANES}


@pytest.fixture(autouse=True)
def without_webhooks(settings: Settings, sandbox: RunningSandbox, in_files: None) -> None:
    settings.WEBHOOK_ORIGIN = ""


def asked(words: str = "", **more: Any) -> Prediction:
    """A prediction for a prompt that no other test has sent to the provider they share."""
    return make_prediction(now=timezone.now(), prompt=f"{words} {os.environ['PYTEST_CURRENT_TEST']}", **more)


def finished(words: str = "", **more: Any) -> Prediction:
    """One that has gone well."""
    prediction = asked(words, **more)
    assert run_until_quiet(20)
    return prediction


def doubtful(sandbox: RunningSandbox, *, made: bool = True, **more: Any) -> Attempt:
    """An attempt of which the provider's answer was lost; it has run there if it was `made`."""
    sandbox.add_fault({"answer": {"kind": "lost" if made else "lost_before"}})
    asked(**more)
    run_once(LANE["submit"])
    if made:
        sandbox.wait_until(lambda: sandbox.predictions()[0].ended)
    return Attempt.objects.get(provider_id=None, closed_at=None)


def lost(sandbox: RunningSandbox, **more: Any) -> Attempt:
    """One that was then given up."""
    attempt = doubtful(sandbox, **more)
    prediction = Prediction.objects.get(pk=attempt.prediction_id)
    assert lifecycle.fail_unsent(prediction=prediction, code="lost_in_sending", now=timezone.now())
    attempt.refresh_from_db()
    return attempt


def sends_again(attempt: Attempt, **changes: Any) -> str:
    """The id of another prediction at the provider, like the attempt's but for `changes`."""
    asked: dict[str, Any] = {
        "model": attempt.prediction.model,
        "input": attempt.sent_input,
        "cancel_after_seconds": attempt.cancel_after_seconds,
        "webhook": None,
    }
    return providers.current().create(**(asked | changes)).id


def kinds() -> list[str]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True))


def foreign(findings: Findings) -> int:
    [line] = [line for line in findings.seen if line.endswith("are not ours")]
    return int(line.split()[0])


def passed() -> Findings:
    return reconcile(now=timezone.now())


def exit_status(*arguments: str) -> int:
    try:
        call_command("reconcile", *arguments)
    except SystemExit as end:
        return int(str(end.code))
    return 0


class TestLostAttempt:
    def test_is_found_later_and_booked_once(self, sandbox: RunningSandbox) -> None:
        attempt = lost(sandbox)

        first = passed()

        assert [line for line in first.seen if "given up for lost" in line]
        assert first.wrong == []
        assert Asset.objects.get().prediction_id == attempt.prediction_id
        prediction = Prediction.objects.get()
        assert (prediction.status, prediction.cost_micros) == (Status.FAILED, 39_000)
        assert kinds() == ["reserve", "release", "correct"]

        second = passed()

        assert not [line for line in second.seen if "given up for lost" in line]
        assert (second.wrong, Asset.objects.count(), kinds()) == ([], 1, ["reserve", "release", "correct"])

    def test_whose_files_the_provider_has_erased_is_booked_all_the_same(self, sandbox: RunningSandbox) -> None:
        lost(sandbox)
        sandbox.erase(sandbox.predictions()[0].id)

        assert passed().wrong == []

        assert Prediction.objects.get().cost_micros == 39_000

    def test_is_found_while_it_runs_and_looked_after(self, sandbox: RunningSandbox) -> None:
        sandbox.add_fault({"seconds": {"run": 1.0}})
        attempt = doubtful(sandbox, made=False)
        made = sends_again(attempt)
        lifecycle.fail_unsent(
            prediction=Prediction.objects.get(pk=attempt.prediction_id), code="lost_in_sending", now=timezone.now()
        )

        passed()
        attempt.refresh_from_db()
        assert attempt.provider_id == made
        sandbox.wait_until(lambda: sandbox.prediction(made).ended)
        Attempt.objects.update(looked_at=timezone.now() - timedelta(minutes=2))
        passed()

        assert kinds() == ["reserve", "release", "correct"]
        assert Asset.objects.count() == 1

    def test_stays_wrong_when_two_predictions_may_be_its(self, sandbox: RunningSandbox) -> None:
        attempt = lost(sandbox)
        sends_again(attempt)
        Attempt.objects.update(submitted_at=timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1))

        findings = passed()

        assert len(findings.wrong) == 2
        assert all(line.endswith(f"may be that of attempt {attempt.pk}") for line in findings.wrong)
        assert kinds() == ["reserve", "release"]

    def test_stays_wrong_when_its_prediction_may_be_anothers(self, sandbox: RunningSandbox) -> None:
        first = lost(sandbox)
        second = lost(sandbox, made=False, user=first.prediction.user)
        Attempt.objects.filter(pk=second.pk).update(cancel_after_seconds=first.cancel_after_seconds)
        Attempt.objects.update(submitted_at=timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1))

        [line] = passed().wrong

        assert str(first.pk) in line and str(second.pk) in line
        assert not Attempt.objects.exclude(provider_id=None).exists()

    def test_without_a_deadline_stays_wrong(self, sandbox: RunningSandbox) -> None:
        attempt = doubtful(sandbox, made=False)
        sandbox.add_fault({"deadline": {"hidden": True}})
        made = sends_again(attempt)
        sandbox.wait_until(lambda: sandbox.prediction(made).ended)
        lifecycle.fail_unsent(
            prediction=Prediction.objects.get(pk=attempt.prediction_id), code="lost_in_sending", now=timezone.now()
        )
        # By its age it may still be the attempt's: a minute is what two clocks may differ.
        Attempt.objects.update(submitted_at=timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1))

        [line] = passed().wrong

        assert made in line

    def test_that_was_refused_cleanly_claims_nothing(self, sandbox: RunningSandbox) -> None:
        attempt = lost(sandbox)
        Prediction.objects.update(error_code="input_refused")

        assert passed().wrong == []

        attempt.refresh_from_db()
        assert attempt.provider_id is None


class TestDoubtfulAttempt:
    def test_is_asked_about(self, sandbox: RunningSandbox) -> None:
        doubtful(sandbox)

        assert passed().wrong == []

        assert Prediction.objects.get().status == Status.SUCCEEDED

    def test_stays_wrong_when_it_cannot_be_told_apart(self, sandbox: RunningSandbox) -> None:
        attempt = doubtful(sandbox)
        sends_again(attempt)
        Attempt.objects.update(submitted_at=timezone.now() - doubt.VERDICT_AFTER - timedelta(seconds=1))

        findings = passed()

        assert sum("may be that of attempt" in line for line in findings.wrong) == 2
        assert f"prediction {attempt.prediction_id} is set aside for an administrator" in findings.wrong

    def test_sent_a_moment_ago_is_not_wrong_yet(self, sandbox: RunningSandbox) -> None:
        sends_again(doubtful(sandbox))

        assert passed().wrong == []


class TestForeignPrediction:
    @pytest.mark.parametrize(
        "changes",
        [{"model": SEEDANCE, "input": FILM}, {"input": {"prompt": "a foreign lake"}}, {"cancel_after_seconds": 600}],
        ids=["of another model", "of another input", "of another deadline"],
    )
    def test_is_counted_and_not_wrong(self, sandbox: RunningSandbox, changes: dict[str, Any]) -> None:
        attempt = lost(sandbox, made=False)
        before = foreign(passed())
        sends_again(attempt, **changes)

        findings = passed()

        assert (foreign(findings), findings.wrong) == (before + 1, [])
        assert Attempt.objects.get().provider_id is None

    def test_is_none_that_an_attempt_is_bound_to(self) -> None:
        before = foreign(passed())
        finished()

        assert foreign(passed()) == before

    def test_of_another_time_is_counted_and_not_wrong(self, sandbox: RunningSandbox) -> None:
        attempt = lost(sandbox)
        Attempt.objects.update(submitted_at=timezone.now() - doubt.SKEW - timedelta(minutes=1))

        assert passed().wrong == []

        attempt.refresh_from_db()
        assert attempt.provider_id is None


class TestBooks:
    def test_that_differ_are_set_right(self, sandbox: RunningSandbox) -> None:
        finished()
        QuotaPeriod.objects.filter(scope="sandbox/site", period="day").update(settled_micros=5)

        findings = passed()

        assert [line for line in findings.seen if "the ledger says" in line]
        assert findings.wrong == []
        assert QuotaPeriod.objects.get(scope="sandbox/site", period="day").settled_micros == 39_000
        assert Alert.objects.get(name="balances_differed").over_at is None

    def test_that_hold_money_for_nothing_are_wrong(self) -> None:
        prediction = asked()
        Prediction.objects.update(status=Status.FAILED, due_at=None)

        [line] = passed().wrong

        assert line == f"attempt {prediction.attempts.get().pk} has ended and still holds a reservation"


class TestSetAside:
    def test_work_gets_another_chance(self) -> None:
        WebhookDelivery.objects.create(
            webhook_id="w",
            received_at=timezone.now(),
            body=b"{}",
            due_at=timezone.now() - timedelta(seconds=1),
            quarantined_at=timezone.now(),
        )

        assert passed().wrong == []

        assert WebhookDelivery.objects.get().due_at is None

    def test_work_that_dies_again_is_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        delivery = WebhookDelivery.objects.create(
            webhook_id="w",
            received_at=timezone.now(),
            body=b"{}",
            due_at=timezone.now() - timedelta(seconds=1),
            quarantined_at=timezone.now(),
        )
        monkeypatch.setattr(inbox, "apply", lambda *given, **named: 1 / 0)

        assert passed().wrong == [f"work on webhook delivery {delivery.pk} fails"]

    def test_outputs_are_named(self) -> None:
        _, attempt = make_sent(now=timezone.now())
        lifecycle.apply_update(attempt=attempt, update=done(), now=timezone.now())
        output = Output.objects.get()
        Output.objects.update(quarantined_at=timezone.now())

        assert _set_aside() == [f"output {output.pk} is set aside for an administrator"]


class TestWhatCannotBeAsked:
    def test_is_wrong_when_the_provider_is_away(self, settings: Settings) -> None:
        settings.PROVIDER_URL = "http://127.0.0.1:1"

        [line] = passed().wrong

        assert line.startswith("the provider's list could not be read")

    def test_is_wrong_when_the_provider_does_not_know_it(self, sandbox: RunningSandbox) -> None:
        prediction, _ = make_sent(now=timezone.now(), provider_id="unknown")

        assert passed().wrong == [f"prediction {prediction.pk} could not be asked about"]

    def test_is_wrong_when_the_store_is_away(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "blocked").write_text("a file where a folder should be")
        options = {"location": str(tmp_path / "blocked")}
        settings.STORAGES = settings.STORAGES | {
            "assets": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
        }

        audited, swept = passed().wrong

        assert audited.startswith("the files of all assets but the first 0 could not be looked at")
        assert swept.startswith("objects without an asset could not be looked for")


class TestCommand:
    def test_ends_with_0_when_all_is_well(self, capsys: pytest.CaptureFixture[str]) -> None:
        finished()

        assert exit_status() == 0

        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "0 unfinished predictions looked at"
        assert "the files of 1 assets looked at" in lines
        assert "0 objects have no asset; 0 of them deleted" in lines

    def test_ends_with_1_while_an_object_is_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        finished()
        path = Path(configured.ASSETS_DIR) / Asset.objects.get().storage_key
        content = path.read_bytes()
        path.unlink()

        assert exit_status() == 1
        assert f"WRONG: the file of asset {Asset.objects.get().pk} is missing" in capsys.readouterr().out

        path.write_bytes(content)

        assert exit_status() == 0
        assert Asset.objects.get().missing_at is None

    def test_looks_at_every_asset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "BATCH", 1)
        user = finished().user
        for words in ("second", "third"):
            finished(words, user=user)

        assert "the files of 3 assets looked at" in passed().seen

    def test_deletes_what_no_asset_names_unless_it_is_to_be_kept(self, tmp_path: Path) -> None:
        (tmp_path / "old").write_bytes(b"x")
        key = storage.new_key(owner_id=7, output_id="upload", extension="png")
        storage.put(path=tmp_path / "old", key=key, content_type="image/png")
        day_ago = (timezone.now() - timedelta(hours=25)).timestamp()
        os.utime(Path(configured.ASSETS_DIR) / key, (day_ago, day_ago))

        assert exit_status("--keep-objects") == 0
        assert storage.size_of(key)

        assert exit_status() == 0
        assert storage.size_of(key) is None
