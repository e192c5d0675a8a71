"""Which lanes may have something to do: asked in one statement, made once, however often the loop wakes up.

Every commit wakes it, and a prediction takes some dozen of them.
"""

from collections.abc import Sequence
from typing import Any

from accounts.statements import bound_cursor
from gallery.leases import free
from generation.work.lanes import Lane


class Due:
    """Asks for `lanes`; one without `rows` is always worth a look of its own."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = list(lanes)
        self._asked = [lane for lane in self._lanes if lane.rows]
        parts = [_exists(lane.rows()) for lane in self._asked if lane.rows]
        self._sql = "SELECT " + ", ".join(f"EXISTS ({sql})" for sql, _ in parts)
        self._params = [param for _, params in parts for param in params]

    def look(self) -> list[Lane]:
        """Those with rows that are due and free at this moment, by the database's clock."""
        if not self._asked:
            return self._lanes
        with bound_cursor() as cursor:
            cursor.execute(self._sql, self._params)
            found = dict(zip(self._asked, cursor.fetchone(), strict=True))
        return [lane for lane in self._lanes if found.get(lane, True)]


def _exists(rows: Any) -> tuple[str, tuple[Any, ...]]:
    """SQL and parameters of a look for one free row."""
    query = free(rows).query.exists()
    sql, params = query.get_compiler(using="default").as_sql()
    return sql, params
