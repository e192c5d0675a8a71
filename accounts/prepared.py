"""Queries of Django's that are put together once, with places for values."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models

from accounts.statements import Sql, bound_cursor, converted, converters_of


class Prepared:
    """A `values()` query with places for values, which is put together once for each that `build` is asked for.

    `build` is called with samples of the named types (`int`, `str`, `datetime`, `UUID`) in those places, twice, with
    others the second time: what changes in the statement's parameters is exactly what the values are put in for.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any, Any]], **types: type) -> None:
        self._build, self._types = build, types
        self._made: _Made | None = None

    def __call__(self, **values: Any) -> list[dict[str, Any]]:
        """The rows for these values."""
        database = connections[DEFAULT_DB_ALIAS]
        made = self._made = self._made or self._make()
        given = {name: _adapted(value, database) for name, value in values.items()}
        with bound_cursor() as cursor:
            cursor.execute(made.sql, [given[name] if name else param for name, param in made.params])
            rows = cursor.fetchall()
        return [dict(zip(made.names, converted(row, made.columns, database), strict=True)) for row in rows]

    def _make(self) -> "_Made":
        database = connections[DEFAULT_DB_ALIAS]
        one, compiler = self._with(0, database)
        other, other_compiler = self._with(1, database)
        (sql, params), (other_sql, others) = compiler.as_sql(), other_compiler.as_sql()
        slots = []
        for param, changed in zip(params, others, strict=True):
            name = next((name for name in one if (one[name], other[name]) == (param, changed)), "")
            if not name and param != changed:
                raise ValueError(f"{param!r} is made of a value that has no place of its own")
            slots.append((name, param))
        if sql != other_sql or {name for name, _ in slots if name} != set(one):
            raise ValueError("a value has no place in the statement")
        columns = converters_of(column for column, _, _ in compiler.select)
        return _Made(sql, slots, list(compiler.query.selected or []), columns)

    def _with(self, turn: int, database: Any) -> tuple[dict[str, Any], Any]:
        samples = {name: _sample(kind, 2 * place + turn) for place, (name, kind) in enumerate(self._types.items())}
        compiler = self._build(**samples).query.get_compiler(using=DEFAULT_DB_ALIAS)
        return {name: _adapted(sample, database) for name, sample in samples.items()}, compiler


class _Made(NamedTuple):
    """A statement, its parameters (of a place: the name of its value), and what it answers."""

    sql: str
    params: list[tuple[str, Any]]
    names: list[str]
    columns: list[tuple[Any, Sequence[Any]]]


def _sample(kind: type, number: int) -> Any:
    if kind is datetime:
        return datetime(1971, 2, 3, 4, 5, 6, 7 + number, tzinfo=UTC)
    if kind is UUID:
        return UUID(int=10**9 + 7 + number)
    return 10**9 + 7 + number if kind is int else f"sample {number}"


def _adapted(value: Any, database: Any) -> Any:
    """As it stands among the parameters of a query."""
    if isinstance(value, UUID):
        return value if database.features.has_native_uuid_field else value.hex
    return database.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def sql_of(queryset: models.QuerySet[Any]) -> Sql:
    """The statement of a query."""
    return Sql(*queryset.query.get_compiler(using=DEFAULT_DB_ALIAS).as_sql())


def condition_of(queryset: models.QuerySet[Any]) -> Sql:
    """What a query of one table asks of its rows."""
    query = queryset.query.chain()
    query.get_initial_alias()
    compiler = query.get_compiler(using=DEFAULT_DB_ALIAS)
    return Sql(*compiler.compile(query.where))
