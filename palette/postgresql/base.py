"""Statements that come again and again are read and planned once for each connection.

By default Django writes the values into the statement, so that PostgreSQL meets a new one each time: to read and to
plan it takes longer than to carry it out. `bound_cursor` sends values beside the statement, and psycopg then keeps what
came a few times prepared at the server. A pooler that hands its connections on between transactions (PgBouncer,
Supavisor) loses what one of them had prepared; behind one, nothing is.
"""

from typing import Any, Final, Self

from django.db.backends.postgresql import base, operations
from django.db.backends.postgresql.psycopg_any import register_tzloader
from psycopg import Cursor
from psycopg.errors import FeatureNotSupported
from psycopg.postgres import types
from psycopg.pq import Format, TransactionStatus

# A statement is prepared once it has come so often, and given up for another when it was not used for longest.
PREPARED_AFTER: Final = 2
MOST_PREPARED: Final = 200


class BoundCursor(Cursor[Any]):
    """Keeps nothing prepared any more once a migration has given a column another type under it."""

    def execute(self, query: Any, params: Any = None, **how: Any) -> Self:
        """As ever; what was planned before the migration is not carried out by PostgreSQL, and sent once more."""
        try:
            return super().execute(query, params, **how)
        except FeatureNotSupported:
            self.connection.prepare_threshold = None
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                raise
            return super().execute(query, params, **how)


class DatabaseOperations(operations.DatabaseOperations):
    """Django's, where statements that are kept prepared can be shown as well."""

    def last_executed_query(self, cursor: Any, sql: Any, params: Any) -> str:
        """For logs and tests: of one that was prepared only its name has travelled."""
        return super().last_executed_query(cursor, sql, params) or str(sql)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with another kind of cursor for whoever asks for it."""

    ops_class = DatabaseOperations

    def bound_cursor(self) -> Any:
        """For statements that come again: of what type a value is has to follow from what stands beside it."""
        # Django's own steps, of which the stubs do not know.
        django: Any = self
        self.ensure_connection()
        with self.wrap_database_errors:
            cursor = BoundCursor(self.connection)
        if self.timezone != django.connection.adapters.get_loader(types["timestamptz"].oid, Format.TEXT).timezone:
            register_tzloader(self.timezone, cursor)
        return django._prepare_cursor(cursor)

    def _configure_connection(self, connection: Any) -> bool:
        django: Any = super()
        django._configure_connection(connection)
        [own] = connection.execute("SELECT pg_backend_pid()").fetchone()
        # Whom a pooler hands us on to is not whom it named when we connected.
        if own == connection.info.backend_pid:
            connection.prepare_threshold, connection.prepared_max = PREPARED_AFTER, MOST_PREPARED
        return True
