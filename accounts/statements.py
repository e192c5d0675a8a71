"""Writes that come with every prediction, as SQL that is put together once.

To put a statement together takes Django longer than it takes the database to carry it out, and on SQLite nobody else
writes meanwhile. Names are those of the models, values are prepared by their fields, so that what is written is what
`save` and `update` would write; nothing else of theirs is there: no signals, no inheritance, no joins.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler

Model: TypeAlias = type[models.Model]


class Sql(NamedTuple):
    """What a value is to be, and the parameters as the database wants them; read back it is a number or a text."""

    sql: str
    params: Sequence[Any] = ()


def insert(row: models.Model) -> None:
    """`save(force_insert=True)`. Raises IntegrityError where a constraint is in the way."""
    _insert(row, {}, "")


def insert_new(row: models.Model, *, computed: Mapping[str, Sql] | None = None) -> bool:
    """The same, unless a unique constraint has such a row: then False. What `computed` says of a column is read back.

    `bulk_create(ignore_conflicts=True)` does not tell, and to catch an IntegrityError takes a savepoint.
    """
    return _insert(row, computed or {}, "ON CONFLICT DO NOTHING")


def update(model: Model, where: Mapping[str, Any], **changes: Any) -> int:
    """`filter(**where).update(**changes)`; returns how many rows there were.

    `where` names columns: one value, None for NULL, a tuple for one of them, or an expression that it is greater than.
    Expressions are constants of their modules: each is compiled once.
    """
    database = connections[DEFAULT_DB_ALIAS]
    asked = tuple((name, _form(value)) for name, value in where.items())
    written = _update(model, asked, tuple((name, _form(value)) for name, value in changes.items()))
    params: list[Any] = []
    for field, value in zip(written.fields, changes.values(), strict=False):
        if isinstance(value, Combinable):
            params += written.constants[value]
        elif isinstance(value, Sql):
            params += value.params
        else:
            params.append(field.get_db_prep_save(value, database))
    for field, value in zip(written.fields[len(changes) :], where.values(), strict=True):
        if isinstance(value, Combinable):
            params += written.constants[value]
        elif value is not None:
            given = value if isinstance(value, tuple) else (value,)
            params += [field.get_db_prep_save(one, database) for one in given]
    with database.cursor() as cursor:
        cursor.execute(written.sql, params)
        return int(cursor.rowcount)


def add_up(row: models.Model, columns: Iterable[str]) -> None:
    """Add what `columns` of `row` hold to the row that its one unique constraint names, which is made if need be."""
    written, database = _add_up(type(row), tuple(columns)), connections[DEFAULT_DB_ALIAS]
    with database.cursor() as cursor:
        cursor.execute(written.sql, [_prepared(field, row, database) for field in written.fields])


class _Written(NamedTuple):
    """A statement, the fields whose values it asks for, those that it returns, and the parameters of expressions."""

    sql: str
    fields: list[Any]
    returned: list[Any]
    constants: dict[Combinable, Sequence[Any]]


def _insert(row: models.Model, computed: Mapping[str, Sql], on_conflict: str) -> bool:
    sql_of = tuple((name, sql) for name, (sql, _) in computed.items())
    written = _written(type(row), row.pk is not None, sql_of, on_conflict)
    database, params = connections[DEFAULT_DB_ALIAS], list[Any]()
    for field in written.fields:
        params += computed[field.name].params if field.name in computed else [_prepared(field, row, database)]
    with database.cursor() as cursor:
        cursor.execute(written.sql, params)
        answer = cursor.fetchone()
    if answer is None:
        return False
    for field, value in zip(written.returned, answer, strict=False):
        setattr(row, field.attname, value)
    row._state.adding, row._state.db = False, database.alias
    return True


@lru_cache
def _written(model: Model, has_key: bool, computed: tuple[tuple[str, str], ...], on_conflict: str) -> _Written:
    expressions = dict(computed)
    concrete: list[Any] = list(model._meta.concrete_fields)
    fields = [field for field in concrete if has_key or not field.primary_key]
    # A key that was given is known.
    returned = [field for field in concrete if field.name in expressions or field not in fields]
    values = ", ".join(expressions.get(field.name, "%s") for field in fields)
    back = _columns(returned) or "1"
    sql = f"INSERT INTO {_table(model)} ({_columns(fields)}) VALUES ({values}) {on_conflict} RETURNING {back}"  # noqa: S608 (the model's names)  # nosec B608
    return _Written(sql, fields, returned, {})


@lru_cache
def _update(model: Model, where: tuple[tuple[str, "_Form"], ...], changes: tuple[tuple[str, "_Form"], ...]) -> _Written:
    compiler = model._default_manager.all().query.get_compiler(using=DEFAULT_DB_ALIAS)
    constants: dict[Combinable, Sequence[Any]] = {}

    def value(form: "_Form") -> str:
        if isinstance(form, Sql):
            return form.sql
        if not isinstance(form, Combinable):
            return "%s"
        sql, constants[form] = _compiled(form, compiler)
        return sql

    named: dict[str, Any] = {"pk": model._meta.pk}
    for field in model._meta.concrete_fields:
        named[field.name] = named[field.attname] = field
    sets = ", ".join(f"{_columns([named[name]])} = {value(form)}" for name, form in changes)
    conditions = []
    for name, form in where:
        column = _columns([named[name]])
        if form is None:
            conditions.append(f"{column} IS NULL")
        elif isinstance(form, int):
            conditions.append(f"{column} IN ({', '.join(['%s'] * form)})")
        else:
            conditions.append(f"{column} {'>' if isinstance(form, Combinable) else '='} {value(form)}")
    sql = f"UPDATE {_table(model)} SET {sets} WHERE {' AND '.join(conditions)}"  # noqa: S608 (the model's names)  # nosec B608
    return _Written(sql, [named[name] for name, _ in (*changes, *where)], [], constants)


@lru_cache
def _add_up(model: Model, columns: tuple[str, ...]) -> _Written:
    [constraint] = (found for found in model._meta.constraints if isinstance(found, models.UniqueConstraint))
    fields: list[Any] = [field for field in model._meta.concrete_fields if not field.primary_key]
    table, name = _table(model), connections[DEFAULT_DB_ALIAS].ops.quote_name
    unique = ", ".join(map(name, constraint.fields))
    sums = ", ".join(f"{name(column)} = {table}.{name(column)} + EXCLUDED.{name(column)}" for column in columns)
    values = ", ".join(["%s"] * len(fields))
    sql = f"INSERT INTO {table} ({_columns(fields)}) VALUES ({values}) ON CONFLICT ({unique}) DO UPDATE SET {sums}"  # noqa: S608 (the model's names)  # nosec B608
    return _Written(sql, fields, [], {})


# What of a value decides the statement: an expression, how many a tuple has, None for NULL, "" for a value.
_Form: TypeAlias = Combinable | Sql | int | str | None


def _form(value: Any) -> _Form:
    if value is None or isinstance(value, Combinable):
        return value
    if isinstance(value, Sql):
        return Sql(value.sql)
    return len(value) if isinstance(value, tuple) else ""


def _compiled(expression: Any, compiler: SQLCompiler) -> tuple[str, Sequence[Any]]:
    sql, params = compiler.compile(expression.resolve_expression(compiler.query, allow_joins=False, for_save=True))
    return sql, params


def _columns(fields: Iterable[Any]) -> str:
    return ", ".join(connections[DEFAULT_DB_ALIAS].ops.quote_name(field.column) for field in fields)


def _table(model: Model) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(model._meta.db_table)


def _prepared(field: Any, row: models.Model, database: Any) -> Any:
    """As `save` would write it."""
    return field.get_db_prep_save(field.pre_save(row, add=True), database)
