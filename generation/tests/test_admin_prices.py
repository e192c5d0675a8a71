"""Prices in the admin: what is refused, what is written down, and what counts today."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tests.overseeing import make_administrator, recorded
from generation.models import Price
from generation.tests.making import BANANA, FLUX, SEEDANCE

pytestmark = pytest.mark.django_db
ADD = reverse("admin:generation_price_add")
LIST = reverse("admin:generation_price_changelist")


@pytest.fixture(autouse=True)
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = make_administrator()
    client.force_login(user)
    return user


def add(client: Client, **fields: Any) -> Any:
    given = {
        "model": FLUX,
        "unit": "image",
        "conditions": "{}",
        "amount_micros": "0.005",
        "effective_from": "2027-01-01",
        "effective_to": "",
        "source": "the model's page",
    }
    return client.post(ADD, given | fields)


def end(client: Client, model: str, day: str) -> Any:
    row = Price.objects.filter(model=model)[0]
    return client.post(
        reverse("admin:generation_price_change", args=[row.pk]), {"effective_to": day, "source": row.source}
    )


class TestPrice:
    def test_is_written_down_with_what_it_begins_with(self, client: Client) -> None:
        end(client, FLUX, "2027-01-01")

        add(client)

        assert recorded()[0] == "Effective to: none → 2027-01-01"
        assert "Added. model: FLUX schnell; Unit: Image; " in recorded()[1]
        assert "USD per unit: $0.005; Effective from: 2027-01-01; Source: the model's page" in recorded()[1]

    def test_that_has_not_begun_is_deleted_and_written_down(self, client: Client) -> None:
        end(client, FLUX, "2027-01-01")
        add(client)
        row = Price.objects.get(model=FLUX, amount_micros=5_000)

        client.post(reverse("admin:generation_price_delete", args=[row.pk]), {"post": "yes"})

        assert not Price.objects.filter(pk=row.pk).exists()
        assert recorded()[-1].startswith(f"Deleted. model: {FLUX}; unit: image; amount: $0.005; effective from: ")

    def test_has_its_history_on_a_page(self, client: Client) -> None:
        end(client, FLUX, "2027-01-01")
        row = Price.objects.get(model=FLUX)

        shown = client.get(reverse("admin:generation_price_history", args=[row.pk])).content.decode()

        assert "Effective to: none → 2027-01-01" in shown

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"amount_micros": "0"}, "A price is more than zero"),
            ({"amount_micros": "-0.01"}, "A price is more than zero"),
            ({"amount_micros": "0.0000001"}, "A price is more than zero"),
            ({"amount_micros": ""}, "required"),
            ({"amount_micros": "1e99"}, "less than or equal to"),
            ({"effective_from": "2026-01-01"}, "End that one first"),
            ({"effective_to": "2027-01-01"}, "It ends after it begins"),
            ({"effective_to": "2026-12-31"}, "It ends after it begins"),
            ({"effective_from": "soon"}, "valid date"),
            ({"source": ""}, "required"),
            ({"model": "somebody/else"}, "Select a valid choice"),
            ({"unit": "second"}, "not charged by the second"),
            ({"unit": "video"}, "makes no videos"),
            ({"conditions": "[1]"}, "An object such as"),
            ({"conditions": "{"}, "valid JSON"),
            ({"conditions": '{"resolutoin": ["720p"]}'}, "has no input"),
            ({"model": SEEDANCE, "conditions": '{"resolution": ["4k"]}'}, "makes no images"),
        ],
    )
    def test_that_is_wrong_is_refused_with_a_sentence(
        self, client: Client, fields: dict[str, str], sentence: str
    ) -> None:
        before = Price.objects.count()

        response = add(client, **fields)

        assert response.status_code == 200
        assert sentence in response.content.decode()
        assert Price.objects.count() == before
        assert recorded() == []

    @pytest.mark.parametrize("day", ["2025-11-01", "2020-01-01"])
    def test_does_not_end_before_it_began(self, client: Client, day: str) -> None:
        response = end(client, BANANA, day)

        assert "It ends after it begins" in response.content.decode()
        assert Price.objects.get(model=BANANA).effective_to is None

    def test_says_whether_it_is_in_force(self, client: Client) -> None:
        end(client, FLUX, "2027-01-01")
        add(client)

        shown = client.get(LIST, {"model": FLUX}).content.decode()

        assert shown.count('alt="True"') == 1
        assert shown.count('alt="False"') == 1
