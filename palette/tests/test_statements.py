"""How often each address asks the database: as often for fifty of everything as for five, and within its budget.

`statements.json` is the budget. Whoever needs more writes it down there; whoever needs less, too.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from generation.tests.calling import IMAGE, Caller
from generation.tests.making import make_sent
from generation.tests.signing import SECRET, body_of, post, sign, succeeded
from palette.tests.growing import grow
from palette.tests.test_every_route import ROUTES, ada, things

__all__ = ["ada", "things"]
pytestmark = pytest.mark.django_db
BUDGETS = json.loads((Path(__file__).parent / "statements.json").read_text())
# Transactions.
ASIDE = re.compile(r"BEGIN|COMMIT|SAVEPOINT|RELEASE SAVEPOINT")
SHOWN = ("text/html", "application/json")


def statements(seen: CaptureQueriesContext) -> int:
    return sum(not ASIDE.match(query["sql"]) for query in seen)


def asked(client: Client, things: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Address → statements, of all that show something."""
    found = {}
    for route in ROUTES:
        if route.is_open and route.arguments:
            continue
        with CaptureQueriesContext(connection) as seen:
            answer: Any = client.get(route.address(things))
        if answer.status_code == 200 and answer["Content-Type"].startswith(SHOWN) and not answer.streaming:
            found[f"GET {route.path}"] = statements(seen)
    return found


class TestEveryAddress:
    def test_asks_as_often_for_fifty_as_for_five(self, things: dict[str, dict[str, Any]], ada: User) -> None:
        client = Client()
        client.force_login(ada)
        grow(ada, first=1, last=5)
        few = asked(client, things)
        grow(ada, first=5, last=50)

        many = asked(client, things)

        assert {path: (few.get(path), count) for path, count in many.items() if count != few.get(path)} == {}
        assert {path: count for path, count in many.items() if count > BUDGETS.get(path, 0)} == {}
        assert {path for path in BUDGETS if path.startswith("GET ")} == set(many)


class TestTheDoors:
    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("begun", body_of("processing")),
            ("succeeded", succeeded()),
            ("failed", body_of("failed", error="NSFW content detected")),
        ],
    )
    def test_of_the_provider_asks_little(self, settings: Settings, name: str, body: bytes) -> None:
        settings.REPLICATE_WEBHOOK_SECRETS = [SECRET]
        _, attempt = make_sent(now=timezone.now())

        with CaptureQueriesContext(connection) as seen:
            assert post(Client(), attempt, body, sign(body)).status_code == 204

        assert statements(seen) <= BUDGETS[f"webhook {name}"] <= 12

    def test_of_whoever_asks_for_a_picture_asks_little(self, ada: User) -> None:
        program = Caller(ada)
        counts = []
        for number in range(2):
            with CaptureQueriesContext(connection) as seen:
                body = json.dumps({"prompt": "a lake"})
                assert program.post(IMAGE, body, Idempotency_Key=f"key-{number}").status_code == 201
            counts.append(statements(seen))

        # The first one of a month makes rows.
        assert counts[0] <= BUDGETS["submit first"] <= 20
        assert counts[1] <= BUDGETS["submit"] <= 20
