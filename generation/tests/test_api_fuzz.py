"""Whatever is sent, it is let in or refused in words; never a 500."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from generation.tests.calling import ESTIMATE, IMAGE, VIDEO, Caller
from generation.tests.making import BANANA, SEEDANCE, make_user

pytestmark = pytest.mark.django_db

VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(max_size=30)
    | some.sampled_from(["data:image/png;base64,AAAA", "https://127.0.0.1/", "1:1", "720p", BANANA, SEEDANCE, "5"]),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = some.text(max_size=12) | some.sampled_from(
    [
        *("prompt", "model", "referenceImages", "image", "lastFrameImage", "format", "aspectRatio", "duration"),
        *("resolution", "seed", "cameraFixed", "numOutputs", "megapixels"),
    ]
)
BODIES = some.dictionaries(NAMES, VALUES, max_size=6).map(lambda body: {"prompt": "a lake"} | body)


@pytest.fixture
def ada() -> Caller:
    return Caller(make_user(daily_count_limit=None, daily_micros_limit=None))


class TestAnyBody:
    @given(body=BODIES, address=some.sampled_from([IMAGE, VIDEO, ESTIMATE]))
    @settings(suppress_health_check=list(HealthCheck))
    def test_is_answered_in_words(self, ada: Caller, body: dict[str, Any], address: str) -> None:
        response = ada.post(address, body)

        assert response.status_code in (200, 201, 400, 402, 422, 429), response.content
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"

    @given(body=some.binary(max_size=200), content_type=some.sampled_from(["application/json", "text/x", "a", ""]))
    @settings(suppress_health_check=list(HealthCheck))
    def test_of_bytes_is_answered_in_words(self, ada: Caller, body: bytes, content_type: str) -> None:
        response = ada.client.generic("POST", IMAGE, body, content_type=content_type, headers=ada.headers({}))

        assert response.status_code in (201, 400, 415, 422), response.content

    @given(query=some.dictionaries(some.sampled_from(["cursor", "status", "type", "page_size", "x"]), some.text()))
    @settings(suppress_health_check=list(HealthCheck))
    def test_of_a_query_is_answered_in_words(self, ada: Caller, query: dict[str, str]) -> None:
        response = ada.client.get("/api/predictions", query, headers=ada.headers({}))

        assert response.status_code in (200, 422), response.content
