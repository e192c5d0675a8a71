"""The styleguide: who may see it, that looking leaves nothing behind, and that every state of a card is on it."""

import re
from itertools import count

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.tests.overseeing import make_administrator
from generation.states import Status
from generation.tests.making import make_user
from palette.styleguide.cards import Maker, every_state

pytestmark = pytest.mark.django_db
HEADLINES = {
    "Your request is in queue…",
    "Waiting for the provider to confirm…",
    "Canceling…",
    "Warming up…",
    "Generating your content…",
    "Saving to your gallery…",
    "Generation complete!",
    "Generation failed",
    "The model declined this prompt",
    "Taking longer than expected",
    "Canceled",
    "Generated, but the file could not be saved in time",
    "Saved after all",
}


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(make_administrator())
    return client


class TestDoor:
    def test_is_hidden_from_creators_and_from_nobody_in_particular(self) -> None:
        client = Client()
        assert client.get("/styleguide").status_code == 404

        client.force_login(make_user())

        assert client.get("/styleguide").status_code == 404

    def test_looking_changes_no_row(self, staff: Client) -> None:
        with CaptureQueriesContext(connection) as asked:
            response = staff.get("/styleguide")

        assert response.status_code == 200
        assert [one["sql"] for one in asked if re.match("INSERT|UPDATE|DELETE", one["sql"])] == []


class TestCards:
    def test_show_every_status_and_say_everything_that_a_card_can_say(self) -> None:
        cards = [card for _, card in every_state(Maker(timezone.now(), count(1)))]

        assert {card.status for card in cards} == set(Status)
        assert {card.words.headline for card in cards} == HEADLINES

    def test_stand_in_both_themes_under_ids_of_their_own(self, staff: Client) -> None:
        html = staff.get("/styleguide").content.decode()

        ids = re.findall(r' id="([^"]+)"', html)
        assert len(ids) == len(set(ids)), {one for one in ids if ids.count(one) > 1}
        states = len(every_state(Maker(timezone.now(), count(1))))
        assert len(re.findall('<article class="card"', html)) == 2 * states
