"""Many rows into a table at once: COPY on PostgreSQL, one prepared INSERT on SQLite."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, models

Row = Mapping[str, Any]
Convert = Callable[[Any], Any]


class Written(str):
    """JSON that is written already: what many rows share is not written for each."""


class Table:
    """One model's table; a row names columns by attribute, and what it does not name has the model's default.

    A default is asked for once, so what is to be different in every row has to be named.
    """

    def __init__(self, model: type[models.Model]) -> None:
        fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
        self.name = model._meta.db_table
        self.columns = [str(field.column) for field in fields]
        self._cells = [(field.attname, field.get_default(), _conversion(field)) for field in fields]

    def write(self, rows: Iterable[Row]) -> None:
        """Insert the rows, in their order."""
        quoted = [connection.ops.quote_name(name) for name in (self.name, *self.columns)]
        target = f"{quoted[0]} ({', '.join(quoted[1:])})"
        tuples = (self._tuple(row) for row in rows)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                    for cells in tuples:
                        copy.write_row(cells)
            else:
                marks = ", ".join(["%s"] * len(self.columns))
                insert = f"INSERT INTO {target} VALUES ({marks})"  # noqa: S608  (the models' own names)  # nosec B608
                cursor.executemany(insert, list(tuples))

    def _tuple(self, row: Row) -> list[Any]:
        cells = []
        for name, default, convert in self._cells:
            value = row.get(name, default)
            cells.append(convert(value) if convert is not None and value is not None else value)
        return cells


def _conversion(field: "models.Field[Any, Any]") -> Convert | None:
    if isinstance(field, models.ForeignKey):
        return _conversion(field.target_field)
    if isinstance(field, models.JSONField):
        return _json
    return None if connection.vendor == "postgresql" else IN_SQLITE.get(type(field))


def _json(value: Any) -> str:
    return value if isinstance(value, Written) else json.dumps(value)


def _moment(value: datetime) -> str:
    """As Django writes it there: UTC, without saying so."""
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")[:-6]


IN_SQLITE: Final[Mapping[type, Convert]] = {
    models.UUIDField: lambda value: value.hex if isinstance(value, UUID) else value,
    models.DateTimeField: _moment,
    models.DateField: date.isoformat,
}
