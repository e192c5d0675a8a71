"""Rows that somebody else may have written already: one statement each, without a savepoint to fall back to."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models
from django.db.models.constants import OnConflict


def insert_new(row: models.Model, *, returning: Sequence[str] = ()) -> bool:
    """INSERT, unless a unique constraint has such a row: then False. `returning` are columns that the database fills.

    `bulk_create(ignore_conflicts=True)` does not tell, and to catch an IntegrityError takes a savepoint; `_insert` is
    what `save` calls.
    """
    model: Any = type(row)
    key = model._meta.pk
    fields = [field for field in model._meta.concrete_fields if field is not key or row.pk is not None]
    answered = [key, *map(model._meta.get_field, returning)]
    [written] = model._base_manager._insert([row], fields, returning_fields=answered, on_conflict=OnConflict.IGNORE)
    if written is None:
        return False
    for field, value in zip(answered, written, strict=True):
        setattr(row, field.attname, value)
    row._state.adding = False
    return True


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
            [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields],
        )
