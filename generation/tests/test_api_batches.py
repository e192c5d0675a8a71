"""Several generations in one call: all or none, told by item, made once by a key, and one address for all."""

from typing import Any

import pytest

from accounts.models import LedgerEntry, QuotaPeriod
from generation.catalog.base import ModelSpec
from generation.lifecycle import asking
from generation.models import Batch, Prediction
from generation.tests.calling import Caller, problem, refused
from generation.tests.making import BANANA, FLUX, SEEDANCE, make_user

pytestmark = pytest.mark.django_db
BATCH = "/api/generation/batch"
PICTURE = {"prompt": "a lake", "model": BANANA}
FILM = {"prompt": "waves", "duration": 5, "resolution": "480p"}


@pytest.fixture
def ada() -> Caller:
    return Caller(make_user())


def ask(ada: Caller, *items: Any, **headers: str) -> Any:
    return ada.post(BATCH, {"items": list(items)}, **headers)


def nothing_happened() -> bool:
    held = QuotaPeriod.objects.filter(reserved_count__gt=0).exists()
    return not (Prediction.objects.exists() or Batch.objects.exists() or LedgerEntry.objects.exists() or held)


class TestBatch:
    def test_is_let_in_with_one_estimate_and_one_address(self, ada: Caller) -> None:
        response = ask(ada, PICTURE, FILM, PICTURE | {"prompt": "a hill"})

        body = response.json()
        rows = list(Prediction.objects.order_by("number"))
        assert response.status_code == 201
        assert response["Location"] == f"/api/batches/{body['batchId']}"
        assert [item["predictionId"] for item in body["items"]] == [str(row.pk) for row in rows]
        assert [row.prompt for row in rows] == ["a lake", "waves", "a hill"]
        assert body["estimatedCost"] == "0.168"
        assert sum(row.estimated_micros for row in rows) == 168_000
        assert LedgerEntry.objects.filter(kind="reserve").count() == 3

    def test_asks_at_the_doors_once_for_each_model(self, ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        look = asking.check_doors

        def counted(*, spec: ModelSpec, **given: Any) -> None:
            asked.append(spec.id)
            look(spec=spec, **given)

        monkeypatch.setattr(asking, "check_doors", counted)
        ask(ada, PICTURE, PICTURE, FILM | {"model": SEEDANCE}, PICTURE)

        assert asked == [BANANA, SEEDANCE]
        assert Prediction.objects.count() == 4

    def test_shows_all_of_them_at_its_address(self, ada: Caller) -> None:
        made = ask(ada, PICTURE, FILM)
        Prediction.objects.filter(prompt="a lake").update(status="failed", due_at=None, cost_micros=0)

        whole = ada.get(made["Location"]).json()

        assert whole["status"] == "processing"
        assert whole["counts"] == {"failed": 1, "starting": 1}
        assert [told["prompt"] for told in whole["predictions"]] == ["a lake", "waves"]
        assert (whole["estimatedCost"], whole["cost"]) == ("0.129", "0.00")

    def test_is_finished_when_all_have_ended(self, ada: Caller) -> None:
        made = ask(ada, PICTURE)
        Prediction.objects.update(status="canceled", due_at=None, cost_micros=0)

        assert ada.get(made["Location"]).json()["status"] == "finished"

    def test_is_told_as_unchanged_to_whoever_has_it(self, ada: Caller) -> None:
        made = ask(ada, PICTURE)
        Prediction.objects.update(status="canceled", due_at=None, cost_micros=0)
        etag = ada.get(made["Location"])["ETag"]

        assert ada.get(made["Location"], If_None_Match=etag).status_code == 304


class TestRefusal:
    def test_names_each_field_of_each_item(self, ada: Caller) -> None:
        errors = refused(ask(ada, PICTURE, {"prompt": ""}, FILM | {"duration": 99}, {"model": FLUX, "prompt": 1}))

        assert errors.keys() == {"items.1.prompt", "items.2.duration", "items.3.prompt"}
        assert nothing_happened()

    @pytest.mark.parametrize("items", [[], [PICTURE] * 51, {"0": PICTURE}, None, "x"])
    def test_of_a_list_that_is_none(self, ada: Caller, items: Any) -> None:
        assert refused(ada.post(BATCH, {"items": items})).keys() == {"items"}

    def test_of_items_that_are_no_objects(self, ada: Caller) -> None:
        assert refused(ask(ada, PICTURE, 7, [])).keys() == {"items.1", "items.2"}

    def test_of_strange_members(self, ada: Caller) -> None:
        body = problem(ada.post(BATCH, {"items": [PICTURE], "user": 1}), 400)

        assert body["errors"] == [{"field": "user", "message": "This is not taken here."}]

    def test_by_a_count_is_of_the_whole(self) -> None:
        ada = Caller(make_user(daily_count_limit=2))

        response = ask(ada, PICTURE, PICTURE, PICTURE)

        assert problem(response, 429)["code"] == "over_count"
        assert (response["RateLimit-Limit"], response["RateLimit-Remaining"]) == ("2", "0")
        assert nothing_happened()

    def test_by_a_budget_is_of_the_whole(self) -> None:
        ada = Caller(make_user(daily_micros_limit=80_000))

        assert problem(ask(ada, PICTURE, PICTURE, PICTURE), 402)["charged"] == "none"
        assert nothing_happened()


class TestKey:
    def test_makes_a_batch_once(self, ada: Caller) -> None:
        first, again = (ask(ada, PICTURE, FILM, Idempotency_Key="k") for _ in range(2))

        assert again.json() == first.json()
        assert Batch.objects.count() == 1
        assert Prediction.objects.count() == 2

    @pytest.mark.parametrize("items", [[PICTURE], [FILM, PICTURE], [PICTURE, FILM, FILM]])
    def test_is_refused_with_another_batch(self, ada: Caller, items: list[Any]) -> None:
        ask(ada, PICTURE, FILM, Idempotency_Key="k")

        assert problem(ask(ada, *items, Idempotency_Key="k"), 422)["code"] == "idempotency_key_reused"

    def test_is_one_for_batches_and_single_generations(self, ada: Caller) -> None:
        ask(ada, PICTURE, Idempotency_Key="k")

        single = ada.post("/api/generation/image", PICTURE, Idempotency_Key="k")

        assert problem(single, 422)["code"] == "idempotency_key_reused"
        assert Prediction.objects.count() == 1

    def test_may_be_used_again_after_a_refusal(self, ada: Caller) -> None:
        ask(ada, PICTURE, {"prompt": ""}, Idempotency_Key="k")

        assert ask(ada, PICTURE, FILM, Idempotency_Key="k").status_code == 201

    def test_finds_the_twin_that_won_meanwhile(self, ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        first = ask(ada, PICTURE, FILM, Idempotency_Key="k")
        monkeypatch.setattr("generation.api.batches.find_repeated_batch", lambda **_: None)

        again = ask(ada, PICTURE, FILM, Idempotency_Key="k")

        assert again.json()["batchId"] == first.json()["batchId"]
        assert (Batch.objects.count(), Prediction.objects.count()) == (1, 2)
