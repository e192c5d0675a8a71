"""The line above Generate says which door is closed, before anybody presses the button."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from generation import catalog, pauses
from generation.models import Output, ProviderState
from generation.pauses import EVERYTHING
from generation.tests.making import BANANA, make_prediction
from generation.tests.storing import make_waiting

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def signed_in(client: Client, ada: User) -> None:
    client.force_login(ada)


def provider(settings: Settings) -> None:
    until = timezone.now() + timedelta(minutes=1)
    ProviderState.objects.create(provider="sandbox", closed_until=until, closed_reason="no_credit")


def store(settings: Settings) -> None:
    make_waiting("https://replicate.delivery/a.png", left=timedelta(minutes=9))
    Output.objects.update(error_code="storage_unavailable")


def pause(settings: Settings) -> None:
    pauses.pause(target=EVERYTHING, reason="We move house", by=None, now=timezone.now())


def unconfirmed(settings: Settings) -> None:
    settings.EMAIL_CONFIRMATION = True


def gone(settings: Settings) -> None:
    catalog.mark_unavailable(BANANA, timezone.now())


# How each is closed, what the button and the line say, and whether the line looks again by itself.
DOORS: dict[Callable[[Settings], None], tuple[str, str, bool]] = {
    provider: ("Closed just now", "The provider cannot take new work just now.", True),
    store: ("Closed just now", "Finished pictures are waiting to be saved, so nothing new is started.", True),
    pause: ("Paused", "We move house.", True),
    unconfirmed: ("Confirm your e-mail first", "Until then nothing is generated.", False),
    gone: ("Not offered just now", "The provider does not offer this model just now.", False),
}


@pytest.mark.parametrize("page", ["/", "/estimate"])
class TestTheLineAboveGenerate:
    def read(self, client: Client, page: str) -> str:
        return client.get(page, {"model": BANANA, "prompt": "a lake"}).content.decode()

    def button(self, html: str) -> str:
        [found] = re.findall(r'<button[^>]* id="generate".*?</button>', html, re.S)
        return str(found)

    @pytest.mark.parametrize("close", DOORS)
    def test_says_which_door_is_closed(
        self, client: Client, settings: Settings, page: str, close: Callable[[Settings], None]
    ) -> None:
        word, why, looks_again = DOORS[close]
        close(settings)

        html = self.read(client, page)

        assert "disabled" in self.button(html) and word in self.button(html)
        assert why in re.findall(r'id="generate-why">([^<]*)<', html)[0]
        assert ("every 20s" in html) is looks_again

    def test_says_nothing_while_all_are_open(self, client: Client, page: str) -> None:
        html = self.read(client, page)

        assert "disabled" not in self.button(html)
        assert "generate-why" not in html and "every 20s" not in html


READ = 'SELECT "generation_pause"'


class TestThePage:
    def test_reads_what_is_paused_once_for_the_form(self, client: Client) -> None:
        with CaptureQueriesContext(connection) as asked:
            client.get("/")

        assert sum(query["sql"].startswith(READ) for query in asked) == 1

    def test_reads_it_once_more_for_what_waits(self, client: Client, ada: User) -> None:
        for _ in range(3):
            make_prediction(user=ada, now=timezone.now())

        with CaptureQueriesContext(connection) as asked:
            client.get("/")

        assert sum(query["sql"].startswith(READ) for query in asked) == 2
