"""What the second run of `make test` repeats: the tests that can tell PostgreSQL, Redis and a store from the default.

A test that may use the database says so, or pytest-django refuses it; one that meets Redis or the store without the
database carries the mark `services`. All others behave alike on both, and the first run has shown how.
"""

from typing import Final

import pytest
from django.test import SimpleTestCase

SERVICES_ONLY: Final = "--services-only"
FIXTURES: Final = frozenset({"db", "transactional_db", "live_server", "django_db_setup", "s3"})
MARKS: Final = ("django_db", "services")


def uses_services(item: pytest.Item) -> bool:
    """Whether a test reaches the database, Redis or an S3 store."""
    of_django = isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, SimpleTestCase)
    return (
        of_django
        or not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        or any(item.get_closest_marker(name) for name in MARKS)
    )


def leave_out_the_rest(items: list[pytest.Item], config: pytest.Config) -> None:
    """Deselect what uses no service."""
    rest = [item for item in items if not uses_services(item)]
    items[:] = [item for item in items if uses_services(item)]
    config.hook.pytest_deselected(items=rest)
