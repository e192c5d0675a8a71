"""Which tests run, and in which order.

The second run of `make test` repeats those that can tell PostgreSQL, Redis and a store from the default. A test that
may use the database says so, or pytest-django refuses it; one that meets Redis or the store without the database
carries the mark `services`, and one that starts processes of the product the mark `slow`. All others behave alike on
both, and the first run has shown how. So does a page in a browser: what it talks to is shown by other tests, hence a
test marked `browser` is repeated only if it is marked `services`, too.
"""

from functools import cache
from pathlib import Path
from typing import Final

import pytest
from django.test import SimpleTestCase
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]

SERVICES_ONLY: Final = "--services-only"
FIXTURES: Final = frozenset({"db", "transactional_db", "live_server", "django_db_setup", "s3"})
MARKS: Final = ("django_db", "services", "slow")
LONG: Final = ("slow", "browser", "row")


def uses_services(item: pytest.Item) -> bool:
    """Whether a test is about the database, Redis or an S3 store."""
    if item.get_closest_marker("browser") and not item.get_closest_marker("services"):
        return False
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


class Together(LoadScopeScheduling):
    """Test by test to whichever worker is free, but a module whose tests share a fixture to one."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if shares_a_fixture(path) else nodeid


@cache
def shares_a_fixture(path: str) -> bool:
    """Whether a file of tests, named from the root, has a fixture of its module."""
    return 'scope="module"' in (ROOT / path).read_text()


def sort_by_length(items: list[pytest.Item], *, longest_first: bool) -> None:
    """Two runs side by side begin with what is long and with what is short, so that neither starves the other."""
    items.sort(key=lambda item: any(item.get_closest_marker(name) for name in LONG), reverse=longest_first)
