"""Rows that somebody else may have written already: one statement each, without a savepoint to fall back to."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

# SQL for a value, and its parameters; read back it is a number or a text.
Computed = tuple[str, Sequence[Any]]


def insert_new(row: models.Model, *, computed: Mapping[str, Computed] | None = None) -> bool:
    """INSERT, unless a unique constraint has such a row: then False. What `computed` says of a column is read back.

    `bulk_create(ignore_conflicts=True)` does not tell, and to catch an IntegrityError takes a savepoint. The statement
    is put together here, and once: Django's compiler takes longer for it than the database for the row.
    """
    computed = computed or {}
    written = _written(type(row), row.pk is not None, tuple((name, sql) for name, (sql, _) in computed.items()))
    database, params = connections[DEFAULT_DB_ALIAS], list[Any]()
    for field in written.fields:
        params += computed[field.name][1] if field.name in computed else [_prepared(field, row, database)]
    with database.cursor() as cursor:
        cursor.execute(written.sql, params)
        answer = cursor.fetchone()
    if answer is None:
        return False
    for field, value in zip(written.returned, answer, strict=False):
        setattr(row, field.attname, value)
    row._state.adding, row._state.db = False, database.alias
    return True


class _Written(NamedTuple):
    """An INSERT, whose values are asked for, and what it returns."""

    sql: str
    fields: list[Any]
    returned: list[Any]


@lru_cache
def _written(model: type[models.Model], has_key: bool, computed: tuple[tuple[str, str], ...]) -> _Written:
    meta, name, expressions = model._meta, connection.ops.quote_name, dict(computed)
    concrete: list[Any] = list(meta.concrete_fields)
    fields = [field for field in concrete if has_key or not field.primary_key]
    # A key that was given comes back as it went in, save where the database keeps it in another form.
    returned = [field for field in concrete if field.name in expressions or field not in fields]
    columns = ", ".join(name(field.column) for field in fields)
    values = ", ".join(expressions.get(field.name, "%s") for field in fields)
    back = ", ".join(name(field.column) for field in returned) or "1"
    into = f"INSERT INTO {name(meta.db_table)} ({columns}) VALUES ({values})"  # noqa: S608 (model's names)  # nosec B608
    return _Written(f"{into} ON CONFLICT DO NOTHING RETURNING {back}", fields, returned)


def _prepared(field: Any, row: models.Model, database: Any) -> Any:
    """As `save` would write it."""
    return field.get_db_prep_save(field.pre_save(row, add=True), database)


def add_up(row: models.Model, columns: Iterable[str]) -> None:
    """Add what `columns` of `row` hold to the row that its one unique constraint names, which is made if need be."""
    [constraint] = (found for found in row._meta.constraints if isinstance(found, models.UniqueConstraint))
    fields: list[Any] = [field for field in row._meta.concrete_fields if not field.primary_key]
    name = connection.ops.quote_name
    table, unique = name(row._meta.db_table), ", ".join(map(name, constraint.fields))
    sums = ", ".join(f"{name(column)} = {table}.{name(column)} + EXCLUDED.{name(column)}" for column in columns)
    values = f"({', '.join(name(field.column) for field in fields)}) VALUES ({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} {values} ON CONFLICT ({unique}) DO UPDATE SET {sums}",  # the model's names  # nosec B608
            [_prepared(field, row, connection) for field in fields],
        )
