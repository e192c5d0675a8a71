"""An account that is deleted in the middle of everything: its work ends, its files go, its books stay."""

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.deletion import delete_account
from accounts.models import Alert, DailySpend, LedgerEntry, User
from gallery import storage
from gallery.models import Asset, DiscardedObject, ShareLink, Tag
from gallery.sharing import create_share_link, token_of
from gallery.tests.making import make_asset
from generation import lifecycle
from generation.models import Attempt, Output, Prediction, PredictionEvent
from generation.sandbox.running import RunningSandbox
from generation.states import Status
from generation.tests.making import done, make_prediction, make_sent, make_user, says
from generation.tests.storing import Door, bring_home
from generation.work import deletions, purging, store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(db: None) -> User:
    return make_user()


def leave(user: User, *, ago: timedelta = timedelta()) -> None:
    delete_account(user=User.objects.get(pk=user.pk), now=timezone.now() - ago)


def take_away(*, later: timedelta = timedelta()) -> None:
    now = timezone.now() + later
    deletions.take_away(now=now)
    purging.delete_objects(now=now)


def state(prediction: Prediction) -> str:
    return Prediction.objects.get(pk=prediction.pk).status


def kinds() -> list[str]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", flat=True))


def waiting(user: User, *addresses: str, now: datetime | None = None) -> list[Output]:
    """Outputs of a prediction that the provider has just finished."""
    prediction, attempt = make_sent(user=user, now=now or timezone.now())
    lifecycle.apply_update(attempt=attempt, update=done(*addresses), now=now or timezone.now())
    return list(Output.objects.filter(prediction=prediction))


class TestWork:
    def test_that_was_not_sent_is_canceled_and_free(self, ada: User) -> None:
        prediction = make_prediction(user=ada)
        leave(ada)

        take_away()

        assert (state(prediction), kinds()) == (Status.CANCELED, ["reserve", "release"])

    def test_that_runs_is_canceled_at_the_provider_whose_end_moves_the_money(self, ada: User) -> None:
        now = timezone.now()
        prediction, attempt = make_sent(user=ada, now=now)
        leave(ada)

        take_away()
        row = Prediction.objects.get(pk=prediction.pk)
        assert row.cancel_requested_at and row.status == Status.QUEUED

        lifecycle.apply_update(attempt=attempt, update=says("canceled", started_at=now), now=now)
        assert (state(prediction), kinds()) == (Status.CANCELED, ["reserve", "settle"])

    def test_that_is_asked_for_in_the_same_moment_is_canceled_too(self, ada: User) -> None:
        leave(ada)
        take_away()
        prediction = make_prediction(user=ada)

        take_away(later=timedelta(hours=3))

        assert state(prediction) == Status.CANCELED

    def test_that_is_being_stored_is_lost_and_no_alarm(self, ada: User) -> None:
        [output] = waiting(ada)
        leave(ada)

        take_away()

        output.refresh_from_db()
        assert (output.state, output.error_code, output.due_at) == (Output.State.LOST, "account_deleted", None)
        assert (state(output.prediction), kinds()) == (Status.LOST, ["reserve", "settle", "correct"])
        assert not Alert.objects.exists()

    def test_that_was_stored_in_part_loses_the_rest(self, ada: User, sandbox: RunningSandbox) -> None:
        here = f"{sandbox.url}/nothing"
        first, second = waiting(ada, here, here)
        asset = make_asset(owner=ada, prediction_id=first.prediction_id, output_index=0)
        Output.objects.filter(pk=first.pk).update(state=Output.State.STORED, asset=asset, due_at=None)
        leave(ada)

        take_away()

        assert state(second.prediction) == Status.SUCCEEDED
        assert not Asset.objects.exists() and storage.size_of(asset.storage_key) is None

    def test_whose_file_is_on_its_way_is_not_entered(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """The store lane holds the output, and finds out when it wants to write it down."""
        [output] = waiting(ada)
        door, carry = Door(monkeypatch), store._carry

        def meanwhile(*given: Any, **seen: Any) -> Any:
            leave(ada)
            deletions.take_away(now=timezone.now())
            return carry(*given, **seen)

        monkeypatch.setattr(store, "_carry", meanwhile)
        monkeypatch.setattr(store, "_fetch", lambda url, path, *_: _picture(path))
        bring_home()

        output.refresh_from_db()
        assert (output.state, state(output.prediction)) == (Output.State.LOST, Status.LOST)
        assert not Asset.objects.exists()
        assert [storage.size_of(key) for key in door.tried] == [None]

    def test_whose_file_comes_later_is_not_fetched(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        prediction, attempt = make_sent(user=ada, now=timezone.now())
        leave(ada)
        lifecycle.apply_update(attempt=attempt, update=done(), now=timezone.now())
        monkeypatch.setattr(store, "_fetch", lambda url, path, *_: pytest.fail("it was fetched"))

        bring_home()

        assert state(prediction) == Status.LOST


def _picture(path: Any) -> Any:
    from gallery.tests import samples

    path.write_bytes(samples.picture())
    return path


class TestAssets:
    def test_are_purged_wherever_they_are(self, ada: User) -> None:
        ben = make_user(username="ben")
        kept, gone = make_asset(owner=ben), [make_asset(owner=ada) for _ in range(3)]
        Asset.objects.filter(pk=gone[0].pk).update(trashed_at=timezone.now())
        leave(ada)

        take_away()

        assert list(Asset.objects.all()) == [kept]
        assert storage.size_of(kept.storage_key) == kept.size_bytes
        assert [storage.size_of(asset.storage_key) for asset in gone] == [None, None, None]

    def test_are_purged_when_the_store_is_back(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        asset = make_asset(owner=ada)
        leave(ada)

        def away() -> None:
            raise storage.StorageError("away")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "check", away)
            take_away()
            take_away(later=timedelta(hours=3))
        assert not User.objects.filter(pk=ada.pk).exists() and DiscardedObject.objects.exists()

        take_away(later=timedelta(hours=4))
        assert storage.size_of(asset.storage_key) is None and not DiscardedObject.objects.exists()

    def test_are_shown_to_no_visitor_from_that_moment_on(self, ada: User, client: Client) -> None:
        now = timezone.now()
        link = create_share_link(owner=ada, to=make_asset(owner=ada), expires_at=now + timedelta(days=1), now=now)
        address = f"/s/{token_of(link)}/"
        assert client.get(address).status_code == 200

        leave(ada)

        assert client.get(address).status_code == 404


class TestTheAccount:
    def test_goes_last_and_leaves_its_books(self, ada: User) -> None:
        now = timezone.now()
        prediction, attempt = make_sent(user=ada, now=now)
        lifecycle.apply_update(attempt=attempt, update=done(), now=now)
        create_share_link(owner=ada, to=make_asset(owner=ada), expires_at=now + timedelta(days=1), now=now)
        Tag.objects.create(owner=ada, name="lake")
        leave(ada)

        take_away()
        assert User.objects.filter(pk=ada.pk, username=f"deleted-{ada.pk}").exists()
        assert state(prediction) == Status.LOST

        take_away(later=timedelta(hours=3))
        assert not User.objects.exists()
        for model in (Prediction, Attempt, Output, PredictionEvent, Asset, ShareLink, Tag):
            assert not model._default_manager.exists(), model
        assert {row.user_scope for row in LedgerEntry.objects.all()} == {f"sandbox/user:{ada.pk}"}
        assert sum(row.micros for row in DailySpend.objects.all()) == 39_000

    def test_waits_for_a_run_that_has_not_ended(self, ada: User) -> None:
        now = timezone.now()
        prediction, attempt = make_sent(user=ada, now=now)
        leave(ada, ago=timedelta(days=1))
        take_away()
        assert Prediction.objects.filter(pk=prediction.pk).exists()

        lifecycle.apply_update(attempt=attempt, update=says("canceled"), now=now)
        take_away()
        assert User.objects.exists()

        take_away(later=timedelta(hours=3))
        assert not User.objects.exists()

    def test_is_there_while_a_run_that_was_given_up_may_cost_something(self, ada: User) -> None:
        now = timezone.now()
        prediction, attempt = make_sent(user=ada, now=now, provider_id=None)
        leave(ada, ago=timedelta(days=1))
        lifecycle.fail_unsent(prediction=prediction, code="lost_in_sending", now=now)
        take_away()

        lifecycle.apply_update(
            attempt=Attempt.objects.get(pk=attempt.pk), update=dataclasses.replace(done(), id="p9"), now=now
        )
        take_away()

        assert kinds() == ["reserve", "release", "correct"]
        assert Output.objects.get().state == Output.State.LOST
        take_away(later=timedelta(hours=3))
        assert not User.objects.exists()

    def test_is_taken_away_again_after_a_death_anywhere(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        [output], asset = waiting(ada), make_asset(owner=ada)
        leave(ada, ago=timedelta(hours=3))
        steps = ["generation.lifecycle.finish_storing", "gallery.purging.purge", "accounts.deletion.erase"]
        for step in steps:
            with monkeypatch.context() as patch:
                patch.setattr(step, _dies)
                with pytest.raises(KeyboardInterrupt):
                    take_away(later=timedelta(hours=3))

        assert output.pk and User.objects.exists()
        take_away(later=timedelta(hours=3))
        assert not User.objects.exists() and storage.size_of(asset.storage_key) is None


def _dies(*given: Any, **more: Any) -> None:
    raise KeyboardInterrupt
