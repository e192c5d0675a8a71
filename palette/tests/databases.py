"""The tests' own database: quick to commit to, emptied between tests that commit, and dropped in the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

Rows = dict[str, set[str]]


def hurry_commits() -> None:
    """PostgreSQL waits for no disk in any new session on this database: nothing in it outlives the tests."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {quoted(connection.settings_dict['NAME'])} SET synchronous_commit = off")
        begin_anew()


def end_other_sessions() -> None:
    """Those of processes that were killed a moment ago, and of threads that nobody waited for."""
    if connection.vendor == "postgresql":
        begin_anew()
        with connection.cursor() as cursor:
            cursor.execute("""
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
            """)


def begin_anew() -> None:
    """No session of this thread's, and none that the pool keeps."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


@contextmanager
def quick_flush() -> Iterator[None]:
    """Between tests that commit, what they left is deleted, and what every database begins with stays.

    In place of Django's `flush`, which truncates all tables, on PostgreSQL for most of a second, and fills some anew.
    """
    original = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
    begins_with: Rows = {}

    def teardown(case: TransactionTestCase) -> None:
        if not (begins_with and delete_the_rest(begins_with)):
            original(case)
            begins_with.clear()
            begins_with.update(everything())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


def delete_the_rest(begins_with: Rows) -> bool:
    """Leave these rows alone; False, and nothing deleted, when they are not as they were."""
    with transaction.atomic(), connection.cursor() as cursor:
        tables = django_tables(cursor)
        if connection.vendor == "postgresql":
            # As TRUNCATE does: whoever still writes is waited for. On SQLite the transaction has done so.
            cursor.execute(f"LOCK TABLE {', '.join(map(quoted, tables))} IN SHARE ROW EXCLUSIVE MODE")
        left = filled(cursor, tables)
        if not begins_with.keys() <= left or any(rows(cursor, table) != begins_with[table] for table in begins_with):
            return False
        for table in left - begins_with.keys():
            cursor.execute(f"DELETE FROM {quoted(table)}")
    return True


def everything() -> Rows:
    """What is in the database now."""
    with connection.cursor() as cursor:
        return {table: rows(cursor, table) for table in filled(cursor, django_tables(cursor))}


def django_tables(cursor: CursorWrapper) -> list[str]:
    """Those that `flush` empties."""
    return sorted(connection.introspection.django_table_names(only_existing=True, include_views=False))


def filled(cursor: CursorWrapper, tables: list[str]) -> set[str]:
    """Those of `tables` that have rows."""
    cursor.execute(
        " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quoted(name)})" for name in tables)
    )
    return {name for (name,) in cursor.fetchall()}


def rows(cursor: CursorWrapper, table: str) -> set[str]:
    """All of a table, in words that can be compared."""
    cursor.execute(f"SELECT * FROM {quoted(table)}")
    return {repr(row) for row in cursor.fetchall()}


def quoted(name: str) -> str:
    """As a part of a statement."""
    return str(connection.ops.quote_name(name))
