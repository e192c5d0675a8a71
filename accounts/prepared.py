"""Queries of Django's that are put together once, with places for values."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models

from accounts.statements import Sql, converted, converters_of


class Prepared:
    """A `values()` query with places for values, which is put together once for each that `build` is asked for.

    `build` is called with samples of the named types (`int`, `str`, `datetime`) in those places, twice, with others the
    second time: what changes in the statement's parameters is exactly what the values are put in for.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any, Any]], **types: type) -> None:
        self._build, self._types = build, types
        self._made: tuple[str, list[tuple[str, Any]], list[str], list[Any]] | None = None

    def __call__(self, **values: Any) -> list[dict[str, Any]]:
        """The rows for these values."""
        database = connections[DEFAULT_DB_ALIAS]
        sql, params, names, columns = self._made = self._made or self._make()
        given = {name: _adapted(value, database) for name, value in values.items()}
        with database.cursor() as cursor:
            cursor.execute(sql, [given[name] if name else param for name, param in params])
            rows = cursor.fetchall()
        return [dict(zip(names, converted(row, columns, database), strict=True)) for row in rows]

    def _make(self) -> tuple[str, list[tuple[str, Any]], list[str], list[Any]]:
        database = connections[DEFAULT_DB_ALIAS]
        (one, sql, params), (other, other_sql, others) = (self._with(turn, database) for turn in (0, 1))
        slots = []
        for param, changed in zip(params, others, strict=True):
            name = next((name for name in one if (one[name], other[name]) == (param, changed)), "")
            if not name and param != changed:
                raise ValueError(f"{param!r} is made of a value that has no place of its own")
            slots.append((name, param))
        if sql != other_sql or {name for name, _ in slots if name} != set(one):
            raise ValueError("a value has no place in the statement")
        return sql, slots, self._names, self._columns

    def _with(self, turn: int, database: Any) -> tuple[dict[str, Any], str, Sequence[Any]]:
        samples = {name: _sample(kind, 2 * place + turn) for place, (name, kind) in enumerate(self._types.items())}
        query = self._build(**samples).query
        compiler = query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        self._names = list(query.selected or [])
        self._columns = converters_of(column for column, _, _ in compiler.select)
        return {name: _adapted(sample, database) for name, sample in samples.items()}, sql, params


def _sample(kind: type, number: int) -> Any:
    if kind is datetime:
        return datetime(1971, 2, 3, 4, 5, 6, 7 + number, tzinfo=UTC)
    return 10**9 + 7 + number if kind is int else f"sample {number}"


def _adapted(value: Any, database: Any) -> Any:
    """As it stands among the parameters of a query."""
    return database.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def sql_of(queryset: models.QuerySet[Any]) -> Sql:
    """The statement of a query; of one that locks rows within a transaction."""
    return Sql(*queryset.query.get_compiler(using=DEFAULT_DB_ALIAS).as_sql())


def condition_of(queryset: models.QuerySet[Any]) -> Sql:
    """What a query of one table asks of its rows."""
    query = queryset.query.chain()
    query.get_initial_alias()
    compiler = query.get_compiler(using=DEFAULT_DB_ALIAS)
    return Sql(*compiler.compile(query.where))
