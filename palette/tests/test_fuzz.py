"""Every operation of the OpenAPI document, called with what fits it and what does not; each answer is held against it.

Twenty examples each every day, of which half fit, and two on services. `make fuzz` tries 200 and keeps what it saw.
"""

import copy
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.db import connection
from django.test.client import ClientHandler
from django.utils import timezone
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.generation import GenerationMode

from accounts.models import User
from accounts.tokens import create_token
from gallery import organising, sharing
from gallery.models import Collection, OwnCategory, Tag
from gallery.tests.making import make_asset
from generation.models import Batch, WebhookEndpoint
from generation.tests.making import make_prediction, make_user
from palette.openapi import document

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10" if connection.vendor == "sqlite" else "2"))
REPORT = os.environ.get("FUZZ_REPORT", "")
# Its answer carries another's beside its own members where a client prefers to wait.
OPEN_ENDED = {"Accepted"}
CONFIG: dict[str, Any] = {
    "suppress-health-check": ["all"],
    "checks": {
        # What fits the document may be more than is allowed (402), name what is not there (422), or hold a NUL (400).
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "3xx", 400, 401, 402, 403, 404, 409, 422, 429, "5xx"],
        },
    },
}
IN_ADDRESS = re.compile(r"\bpath\b|became array")
seen: Counter[tuple[str, str, int]] = Counter()
faults: list[str] = []


@pytest.fixture
def ada(db: None, in_files: None) -> User:
    """Somebody whom no limit of a day ends the test for."""
    return make_user(daily_count_limit=None, monthly_count_limit=None, daily_micros_limit=None)


@pytest.fixture
def ids(ada: User) -> dict[str, Any]:
    """What stands for an id, by the word in the path before it."""
    asset, now = make_asset(owner=ada), timezone.now()
    change = organising.Change(add_tags=["lake"], collect="Night shoot")
    organising.organise_assets(owner=ada, ids=[asset.pk], change=change, now=now)
    link = sharing.create_share_link(owner=ada, to=asset, expires_at=now + timedelta(days=1), now=now)
    token, _ = create_token(user=ada, name="ci", expires_at=None, now=now)
    webhook = WebhookEndpoint.objects.create(user=ada, url="https://hooks.example.com/", secret="s", created_at=now)
    return {
        "predictions": str(make_prediction(user=ada, now=now).pk),
        "batches": str(Batch.objects.create(user=ada, created_at=now).pk),
        "assets": str(asset.pk),
        "collections": Collection.objects.get(owner=ada).pk,
        "tags": Tag.objects.get(owner=ada).pk,
        "categories": OwnCategory.objects.create(owner=ada, name="Exteriors").pk,
        "shares": str(link.pk),
        "tokens": str(token.pk),
        "webhooks": str(webhook.pk),
    }


class Application:
    """The product behind WSGI as Django's test client calls it: in the test's own transaction."""

    def __init__(self) -> None:
        self.handler = ClientHandler(enforce_csrf_checks=True)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        response = self.handler(environ)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return iter(response)


@pytest.fixture
def described(ids: dict[str, Any]) -> Any:
    """The document, made to ask of what is there and to let no member pass that it does not name."""
    told = copy.deepcopy(document())
    for path, methods in told["paths"].items():
        for operation in methods.values():
            # Nobody has the time.
            parameters = [each for each in operation.get("parameters", []) if each["name"] != "Prefer"]
            operation["parameters"] = parameters
            thing = ids.get(path.partition("/{")[0].rpartition("/")[2])
            for parameter in parameters:
                if parameter["in"] == "path" and thing is not None:
                    parameter["schema"] = parameter["schema"] | {"enum": [thing]}
    for name, schema in told["components"]["schemas"].items():
        if "properties" in schema and name not in OPEN_ENDED:
            schema.setdefault("additionalProperties", False)
    loaded = schemathesis.openapi.from_dict(told, config=SchemathesisConfig.from_dict(CONFIG))
    loaded.app, loaded.location = Application(), "/api/schema"
    return loaded


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[None]:
    """Write down how often each operation was answered how, where somebody wants to read it."""
    yield
    if REPORT:
        lines = [
            f"| {who} | {operation} | {', '.join(f'{status}: {count}' for status, count in sorted(found.items()))} |"
            for (who, operation), found in sorted(by_operation().items())
        ]
        head = ["| who | operation | answers, by status |", "|---|---|---|"]
        total = f"{sum(seen.values())} calls, {EXAMPLES} examples of each operation, half of them wrong on purpose."
        amiss = [f"{len(faults)} answers were not as described.", *(f"- {fault.splitlines()[0]}" for fault in faults)]
        Path(REPORT).write_text("\n".join(["# The last fuzzing", "", total, "", *amiss, "", *head, *lines, ""]))


def by_operation() -> dict[tuple[str, str], dict[int, int]]:
    """How often each status came."""
    found: dict[tuple[str, str], dict[int, int]] = {}
    for (who, operation, status), count in seen.items():
        found.setdefault((who, operation), {})[status] = count
    return found


@pytest.fixture
def header(ada: User) -> dict[str, str]:
    """A token that may do everything."""
    _, token = create_token(user=ada, name="fuzz", expires_at=None, now=timezone.now())
    return {"Authorization": f"Bearer {token}"}


def try_all(described: Any, who: str, headers: dict[str, str]) -> list[str]:
    """Call each operation with examples of both kinds; what was wrong with the answers."""
    wrong: list[str] = []
    for found in described.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            # Nothing can be wrong with what takes nothing.
            with suppress(Unsatisfiable):
                trial(operation, mode, who, headers, wrong)()
        if not any((who, operation.label) == (other, label) for other, label, _ in seen):
            wrong.append(f"{who}: {operation.label}: it was never called")
    faults.extend(wrong)
    return wrong


def reads_alike(fault: BaseException) -> bool:
    """Whether all that was wrong is the type of something in the address, where a number and a list of one are text."""
    parts = str(getattr(fault, "message", ""))
    return isinstance(fault, AcceptedNegativeData) and "body" not in parts and bool(IN_ADDRESS.search(parts))


def trial(
    operation: Any, mode: GenerationMode, who: str, headers: dict[str, str], wrong: list[str]
) -> Callable[[], None]:
    """A function that calls the operation so many times, and adds to `wrong` what is wrong with an answer.

    Nothing is raised: it would be tried again, and what the first call has changed may be right the second time.
    """

    @settings(
        max_examples=max(1, EXAMPLES // 2),
        database=None,
        derandomize=not REPORT,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        # A parameter that is empty is one that was left out.
        assume("" not in (case.query or {}).values())
        response = case.call(headers=headers)
        seen[who, operation.label, response.status_code] += 1
        try:
            case.validate_response(response, headers=headers)
        except (BaseExceptionGroup, Failure) as fault:
            faults = fault.exceptions if isinstance(fault, BaseExceptionGroup) else [fault]
            wrong.extend(f"{who}: {operation.label}: {each!r}" for each in faults if not reads_alike(each))

    return holds


@pytest.mark.timeout(0 if REPORT else 1800)
class TestEveryOperation:
    def test_answers_its_owner_as_described(self, described: Any, header: dict[str, str]) -> None:
        wrong = try_all(described, "owner", header)

        assert not wrong, "\n".join(wrong)

    def test_answers_nobody_as_described(self, described: Any) -> None:
        wrong = try_all(described, "nobody", {})

        assert not wrong, "\n".join(wrong)
