"""What every prediction writes and reads, as SQL that is put together once.

To put a statement together takes Django longer than it takes the database to carry it out, and on SQLite nobody else
writes meanwhile. Names are those of the models, values are prepared by their fields, so that what is written is what
`save` and `update` would write; nothing else of theirs is there: no signals, no inheritance, no join but of one foreign
key.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.expressions import Combinable
from django.db.models.sql.compiler import SQLCompiler

Model: TypeAlias = type[models.Model]


class Sql(NamedTuple):
    """A value, a condition or a statement, and its parameters as the database wants them."""

    sql: str
    params: Sequence[Any] = ()


def bound_cursor() -> Any:
    """For statements that come again with other values: these travel beside the statement, which is planned once."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    return database.bound_cursor()


def insert(*rows: models.Model, asking: Sequence[Sql] = ()) -> Sequence[Any]:
    """`save(force_insert=True)` of rows of one model in one statement; raises IntegrityError.

    Returns what the expressions `asking` say as the last of them is entered.
    """
    return _insert(rows, {}, "", asking) or ()


def insert_new(row: models.Model, *, computed: Mapping[str, Sql] | None = None) -> bool:
    """The same, unless a unique constraint has such a row: then False. What `computed` says of a column is read
    back, as a number or a text.

    `bulk_create(ignore_conflicts=True)` does not tell, and to catch an IntegrityError takes a savepoint.
    """
    return _insert([row], computed or {}, "ON CONFLICT DO NOTHING") is not None


def insert_like(model: Model, where: Mapping[str, Any], *, asking: Sql, **changes: Any) -> tuple[Any, Any] | None:
    """A copy of the one row that is as `where` says, under a key of its own and with other values of some columns.

    Returns it, and what the expression `asking` says; None without such a row, or with another in the copy's way.
    """
    database, params = connections[DEFAULT_DB_ALIAS], list[Any]()
    written = _insert_like(model, _forms(where), tuple(changes), asking.sql)
    for field, value in zip(written.fields, changes.values(), strict=False):
        params.append(field.get_db_prep_save(value, database))
    params += [*_asked(written, len(changes), where, database), *asking.params]
    with bound_cursor() as cursor:
        cursor.execute(written.sql, params)
        answer = cursor.fetchone()
    if answer is None:
        return None
    values = converted(answer[:-1], _converters(tuple(written.returned)), database)
    return _instance(model, values, database), answer[-1]


def update(model: Model, where: Mapping[str, Any], *, also: Sql | None = None, **changes: Any) -> int:
    """`filter(**where).update(**changes)`; returns how many rows there were.

    `where` names columns: one value, None for NULL, a tuple for one of them, an expression that it is greater than, or
    what else is to hold, as SQL; `also` is another condition. Expressions are constants of their modules: each is
    compiled once.
    """
    written, params = _changing(model, where, also, changes)
    with bound_cursor() as cursor:
        cursor.execute(written.sql, params)
        return int(cursor.rowcount)


def updated(model: Model, where: Mapping[str, Any], *, also: Sql | None = None, **changes: Any) -> list[Any]:
    """The same; returns those rows as they are now, in no order."""
    written, params = _changing(model, where, also, changes)
    return _instances(model, f"{written.sql} RETURNING {_all_columns(model)}", params)


def updated_in_order(model: Model, keys: Sql, **changes: Any) -> list[Any]:
    """The same of the rows whose keys the SELECT `keys` finds, which may lock them, in its order. PostgreSQL only."""
    key, own_key = _columns([model._meta.pk]), _qualified(model._meta.pk)
    written, params = _changing(model, {}, Sql(f"{own_key} IN (SELECT chosen.{key} FROM chosen)"), changes)  # noqa: S608 (the model's names)  # nosec B608
    # Carried out once, whatever is made of the rest: what it locks is what is changed.
    sql = f"WITH chosen ({key}) AS MATERIALIZED ({keys.sql}) {written.sql} RETURNING {_all_columns(model)}"
    place = f"array_position(ARRAY(SELECT chosen.{key} FROM chosen), {own_key})"  # noqa: S608 (the model's names)  # nosec B608
    return _instances(model, f"{sql}, {place}", [*keys.params, *params], in_order=True)


def _instances(model: Model, sql: str, params: Sequence[Any], *, in_order: bool = False) -> list[Any]:
    database, columns = connections[DEFAULT_DB_ALIAS], _converters(tuple(model._meta.concrete_fields))
    with bound_cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    if in_order:
        rows = [row[:-1] for row in sorted(rows, key=lambda row: row[-1])]
    return [_instance(model, converted(row, columns, database), database) for row in rows]


def read(
    model: Model,
    where: Mapping[str, Any],
    *,
    also: Sql | None = None,
    order_by: str = "",
    limit: int = 0,
    lock: str = "",
    joined: str = "",
) -> list[Any]:
    """`filter(**where).select_related(joined).order_by(order_by)[:limit]`.

    Where rows can be locked, `lock="no_key"` locks them, joined ones too.
    """
    database = connections[DEFAULT_DB_ALIAS]
    lock = lock if database.features.has_select_for_update else ""
    written = _read(model, _forms(where), also.sql if also else "TRUE", order_by, limit, lock, joined)
    with bound_cursor() as cursor:
        cursor.execute(written.sql, [*_asked(written, 0, where, database), *(also.params if also else ())])
        rows = cursor.fetchall()
    found, columns = [], _converters(tuple(written.returned))
    for row in rows:
        values = converted(row, columns, database)
        own = len(model._meta.concrete_fields)
        one = _instance(model, values[:own], database)
        if joined:
            setattr(one, joined, _instance(_named(model)[joined].related_model, values[own:], database))
        found.append(one)
    return found


def _instance(model: Model, values: Sequence[Any], database: Any) -> Any:
    return model.from_db(database.alias, [field.attname for field in model._meta.concrete_fields], values)


def add_up(row: models.Model, columns: Iterable[str]) -> None:
    """Add what `columns` of `row` hold to the row that its one unique constraint names, which is made if need be."""
    written, database = _add_up(type(row), tuple(columns)), connections[DEFAULT_DB_ALIAS]
    with bound_cursor() as cursor:
        cursor.execute(written.sql, [_prepared(field, row, database) for field in written.fields])


class _Written(NamedTuple):
    """A statement, the fields whose values it asks for, those that it returns, and the parameters of expressions."""

    sql: str
    fields: list[Any]
    returned: list[Any]
    constants: dict[Combinable, Sequence[Any]]


def _insert(
    rows: Sequence[models.Model], computed: Mapping[str, Sql], on_conflict: str, asking: Sequence[Sql] = ()
) -> Sequence[Any] | None:
    """The answers of the last; None where a row was in the way."""
    sql_of = tuple((name, sql) for name, (sql, _) in computed.items())
    asked = tuple(sql for sql, _ in asking)
    written = _written(type(rows[0]), len(rows), rows[0].pk is not None, sql_of, on_conflict, asked)
    database, params = connections[DEFAULT_DB_ALIAS], list[Any]()
    for row in rows:
        for field in written.fields:
            params += computed[field.name].params if field.name in computed else [_prepared(field, row, database)]
    with bound_cursor() as cursor:
        cursor.execute(written.sql, [*params, *(param for one in asking for param in one.params)])
        answers = cursor.fetchall()
    if written.returned:
        # Rows come back in no order that is promised; keys that the database gives are given in theirs.
        answers.sort(key=lambda answer: answer[0])
    for row, answer in zip(rows, answers, strict=False):
        for field, value in zip(written.returned, answer, strict=False):
            setattr(row, field.attname, value)
        row._state.adding, row._state.db = False, database.alias
    return answers[-1][len(written.returned) :] if answers else None


@lru_cache(maxsize=512)
def _written(
    model: Model,
    count: int,
    has_key: bool,
    computed: tuple[tuple[str, str], ...],
    on_conflict: str,
    asked: tuple[str, ...],
) -> _Written:
    expressions = dict(computed)
    concrete: list[Any] = list(model._meta.concrete_fields)
    fields = [field for field in concrete if has_key or not field.primary_key]
    # A key that was given is known.
    returned = [field for field in concrete if field.name in expressions or field not in fields]
    values = f"({', '.join(expressions.get(field.name, '%s') for field in fields)})"
    back = ", ".join(filter(None, [_columns(returned), *asked])) or "1"
    places = ", ".join([values] * count)
    sql = f"INSERT INTO {_table(model)} ({_columns(fields)}) VALUES {places} {on_conflict} RETURNING {back}"  # noqa: S608 (the model's names)  # nosec B608
    return _Written(sql, fields, returned, {})


@lru_cache
def _insert_like(model: Model, where: "_Forms", changes: tuple[str, ...], asked: str) -> _Written:
    conditions, fields, constants = _conditions(model, where)
    named, returned = _named(model), list[Any](model._meta.concrete_fields)
    copied = [field for field in returned if not field.primary_key and field.attname not in changes]
    changed = [named[name] for name in changes]
    values = ", ".join([*("%s" for _ in changed), *map(_qualified, copied)])
    sql = (
        f"INSERT INTO {_table(model)} ({_columns([*changed, *copied])})"  # noqa: S608 (the model's names)  # nosec B608
        f" SELECT {values} FROM {_table(model)} WHERE {conditions}"
        f" ON CONFLICT DO NOTHING RETURNING {_columns(returned)}, {asked}"
    )
    return _Written(sql, [*changed, *fields], returned, constants)


def _changing(model: Model, where: Mapping[str, Any], also: Sql | None, changes: Mapping[str, Any]) -> Any:
    """An UPDATE and its parameters."""
    database, params = connections[DEFAULT_DB_ALIAS], list[Any]()
    written = _update(model, _forms(where), _forms(changes), also.sql if also else "TRUE")
    for field, value in zip(written.fields, changes.values(), strict=False):
        if isinstance(value, Combinable):
            params += written.constants[value]
        elif isinstance(value, Sql):
            params += value.params
        else:
            params.append(field.get_db_prep_save(value, database))
    params += _asked(written, len(changes), where, database)
    return written, [*params, *(also.params if also else ())]


@lru_cache(maxsize=512)
def _update(model: Model, where: "_Forms", changes: "_Forms", also: str) -> _Written:
    asked, fields, constants = _conditions(model, where)
    named, compiler = _named(model), _compiler(model)
    sets = []
    for name, form in changes:
        value = form.sql if isinstance(form, Sql) else "%s"
        if isinstance(form, Combinable):
            value, constants[form] = _compiled(form, compiler)
        sets.append(f"{_columns([named[name]])} = {value}")
    sql = f"UPDATE {_table(model)} SET {', '.join(sets)} WHERE {asked} AND ({also})"  # noqa: S608 (the model's names)  # nosec B608
    return _Written(sql, [*(named[name] for name, _ in changes), *fields], [], constants)


@lru_cache(maxsize=512)
def _read(model: Model, where: "_Forms", also: str, order_by: str, limit: int, lock: str, joined: str) -> _Written:
    asked, fields, constants = _conditions(model, where)
    returned, named, table = list[Any](model._meta.concrete_fields), _named(model), _table(model)
    rows = table
    if joined:
        other = named[joined].related_model
        returned += other._meta.concrete_fields
        rows += f" INNER JOIN {_table(other)} ON {_qualified(named[joined])} = {_qualified(other._meta.pk)}"
    sql = f"SELECT {', '.join(map(_qualified, returned))} FROM {rows} WHERE {asked} AND ({also})"  # noqa: S608 (the model's names)  # nosec B608
    if order_by:
        sql += f" ORDER BY {_qualified(named[order_by.lstrip('-')])}{' DESC' * order_by.startswith('-')}"
    sql += f" LIMIT {limit}" * bool(limit) + " FOR NO KEY UPDATE" * (lock == "no_key")
    return _Written(sql, fields, returned, constants)


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
_Forms: TypeAlias = tuple[tuple[str, _Form], ...]


def _forms(values: Mapping[str, Any]) -> _Forms:
    return tuple((name, _form(value)) for name, value in values.items())


def _form(value: Any) -> _Form:
    if value is None or isinstance(value, Combinable):
        return value
    if isinstance(value, Sql):
        return Sql(value.sql)
    return len(value) if isinstance(value, tuple) else ""


def _conditions(model: Model, where: _Forms) -> tuple[str, list[Any], dict[Combinable, Sequence[Any]]]:
    """What stands behind WHERE, the fields whose values it asks for, and the parameters of expressions."""
    named, parts, constants = _named(model), list[str](), dict[Combinable, Sequence[Any]]()
    for name, form in where:
        column = _qualified(named[name])
        if form is None:
            parts.append(f"{column} IS NULL")
        elif isinstance(form, Sql):
            parts.append(f"{column} {form.sql}")
        elif isinstance(form, int):
            parts.append(f"{column} IN ({', '.join(['%s'] * form)})" if form else "FALSE")
        elif isinstance(form, Combinable):
            value, constants[form] = _compiled(form, _compiler(model))
            parts.append(f"{column} > {value}")
        else:
            parts.append(f"{column} = %s")
    return " AND ".join(parts) or "TRUE", [named[name] for name, _ in where], constants


def _asked(written: _Written, start: int, where: Mapping[str, Any], database: Any) -> list[Any]:
    """The parameters of those conditions."""
    params: list[Any] = []
    for field, value in zip(written.fields[start:], where.values(), strict=True):
        if isinstance(value, Combinable):
            params += written.constants[value]
        elif isinstance(value, Sql):
            params += value.params
        elif value is not None:
            given = value if isinstance(value, tuple) else (value,)
            params += [field.get_db_prep_save(one, database) for one in given]
    return params


def converters_of(columns: Iterable[Any]) -> list[tuple[Any, Sequence[Any]]]:
    """Each column with what makes of a value in the database the one in Python.

    Asked of a connection that is no thread's and is never opened, as what it answers is kept, and names it.
    """
    database = _nobodys()
    return [(column, database.ops.get_db_converters(column) + column.get_db_converters(database)) for column in columns]


@lru_cache
def _nobodys() -> Any:
    return connections.create_connection(DEFAULT_DB_ALIAS)


def converted(row: Sequence[Any], columns: Iterable[tuple[Any, Sequence[Any]]], database: Any) -> list[Any]:
    """What the database answered, by `converters_of` its columns."""
    values = list(row)
    for place, (column, converters) in enumerate(columns):
        for convert in converters:
            values[place] = convert(values[place], column, database)
    return values


@lru_cache(maxsize=64)
def _converters(fields: tuple[Any, ...]) -> list[tuple[Any, Sequence[Any]]]:
    return converters_of(field.get_col(field.model._meta.db_table) for field in fields)


@lru_cache(maxsize=64)
def _named(model: Model) -> dict[str, Any]:
    named: dict[str, Any] = {"pk": model._meta.pk}
    for field in model._meta.concrete_fields:
        named[field.name] = named[field.attname] = field
    return named


def _compiler(model: Model) -> SQLCompiler:
    compiler: SQLCompiler = model._default_manager.all().query.get_compiler(using=DEFAULT_DB_ALIAS)
    return compiler


def _compiled(expression: Any, compiler: SQLCompiler) -> tuple[str, Sequence[Any]]:
    sql, params = compiler.compile(expression.resolve_expression(compiler.query, allow_joins=False, for_save=True))
    return sql, params


def _columns(fields: Iterable[Any]) -> str:
    return ", ".join(connections[DEFAULT_DB_ALIAS].ops.quote_name(field.column) for field in fields)


def _all_columns(model: Model) -> str:
    return ", ".join(map(_qualified, model._meta.concrete_fields))


def _qualified(field: Any) -> str:
    return f"{_table(field.model)}.{_columns([field])}"


def _table(model: Model) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(model._meta.db_table)


def _prepared(field: Any, row: models.Model, database: Any) -> Any:
    """As `save` would write it."""
    return field.get_db_prep_save(field.pre_save(row, add=True), database)
