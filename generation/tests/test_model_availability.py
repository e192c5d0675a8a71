"""A model that the provider no longer offers is marked, kept in mind by all processes, and can come back."""

from datetime import UTC, datetime, timedelta

import pytest

from generation import catalog
from generation.models import ModelAvailability

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LITE = "bytedance/seedance-1-lite"

pytestmark = pytest.mark.django_db


class TestAvailability:
    def test_is_assumed(self) -> None:
        assert catalog.available(LITE)
        assert catalog.unavailable_models() == frozenset()

    def test_ends_with_the_providers_404(self) -> None:
        catalog.mark_unavailable(LITE, now=NOW)

        assert not catalog.available(LITE)
        assert catalog.available("google/nano-banana")
        assert catalog.unavailable_models() == {LITE}

    def test_remembers_since_when(self) -> None:
        catalog.mark_unavailable(LITE, now=NOW)
        catalog.mark_unavailable(LITE, now=NOW + timedelta(days=1))

        assert ModelAvailability.objects.get().unavailable_since == NOW

    def test_comes_back(self) -> None:
        catalog.mark_unavailable(LITE, now=NOW)
        catalog.mark_available(LITE)

        assert catalog.available(LITE)

    def test_proposes_a_model_of_the_same_type(self) -> None:
        assert catalog.get(LITE).fallback == "bytedance/seedance-1-pro-fast"
