"""GET /api/models: enough to ask for a generation without reading anything else."""

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from generation import catalog
from generation.models import Price
from generation.tests.calling import IMAGE, VIDEO, Caller, problem
from generation.tests.making import BANANA, SEEDANCE, make_user

pytestmark = pytest.mark.django_db


def models(caller: Caller) -> dict[str, dict[str, Any]]:
    response = caller.get("/api/models")
    assert response.status_code == 200
    return {model["id"]: model for model in response.json()["results"]}


class TestModels:
    def test_tell_the_schema_in_the_names_of_the_api(self) -> None:
        banana = models(Caller(make_user()))[BANANA]

        assert banana["input"]["required"] == ["prompt"]
        assert banana["input"]["properties"].keys() == {"model", "prompt", "referenceImages", "aspectRatio", "format"}
        assert banana["input"]["properties"]["format"]["enum"] == ["jpg", "png"]
        assert banana["input"]["properties"]["referenceImages"]["maxItems"] == 10
        assert (banana["type"], banana["default"], banana["available"]) == ("image", True, True)
        assert banana["usualSeconds"] == 10.5

    def test_ask_for_what_decides_a_film_s_price(self) -> None:
        seedance = models(Caller(make_user()))[SEEDANCE]

        assert seedance["input"]["required"] == ["prompt", "duration", "resolution"]
        assert seedance["input"]["properties"]["duration"] | {"title": ""} == {
            "type": "integer",
            "minimum": 2,
            "maximum": 12,
            "default": 5,
            "title": "",
        }
        assert "fps" not in seedance["input"]["properties"]

    def test_tell_the_prices_of_the_day(self) -> None:
        Price.objects.all().delete()
        Price.objects.create(
            model=SEEDANCE,
            unit="second",
            conditions={"resolution": ["720p"]},
            amount_micros=36_000,
            effective_from=date(2020, 1, 1),
            source="test",
        )

        assert models(Caller(make_user()))[SEEDANCE]["prices"] == [
            {"unit": "second", "usd": "0.036", "conditions": {"resolution": ["720p"]}}
        ]

    def test_say_which_is_gone(self) -> None:
        catalog.mark_unavailable(BANANA, timezone.now())

        assert models(Caller(make_user()))[BANANA]["available"] is False

    def test_can_be_asked_for_by_their_own_defaults(self) -> None:
        ada = Caller(make_user())

        for model_id, model in models(ada).items():
            properties = model["input"]["properties"].items()
            body = {name: field["default"] for name, field in properties if "default" in field}
            address = IMAGE if model["type"] == "image" else VIDEO
            assert ada.post(address, {**body, "model": model_id, "prompt": "a lake"}).status_code == 201

    def test_are_for_those_who_are_signed_in(self) -> None:
        assert problem(Client().get("/api/models"), 401)

    def test_answer_with_a_slash_too(self) -> None:
        assert Caller(make_user()).get("/api/models/").status_code == 200
