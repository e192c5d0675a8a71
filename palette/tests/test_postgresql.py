"""What comes again is planned once, and never where a pooler stands between."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import NotSupportedError, connection, connections, transaction

from accounts.models import User
from accounts.statements import bound_cursor, read
from palette.postgresql.base import PREPARED_AFTER

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps statements prepared by itself"),
]


@pytest.fixture
def fresh() -> Iterator[Any]:
    """A connection that has prepared nothing yet."""
    made: Any = connections.create_connection("default")
    made.ensure_connection()
    yield made
    made.close()


def prepared() -> list[str]:
    """Statements that the server keeps for the connection of this thread."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def test_what_comes_again_is_kept_prepared() -> None:
    for number in range(4):
        assert read(User, {"username": f"nobody {number} {uuid4()}"}) == []

    [kept] = [statement for statement in prepared() if '"accounts_user"."username" = $1' in statement]
    assert "nobody" not in kept


def test_an_ordinary_cursor_leaves_nothing_behind() -> None:
    before = prepared()
    for number in range(4):
        User.objects.filter(username=f"nobody {number}").exists()

    assert prepared() == before


def test_behind_a_pooler_nothing_is_prepared(fresh: Any) -> None:
    class HandedOn:
        """A connection whose server process is another than the one that was named when it was opened."""

        prepare_threshold = None
        info = SimpleNamespace(backend_pid=1, parameter_status=fresh.connection.info.parameter_status)

        def execute(self, statement: str) -> Any:
            return fresh.connection.execute(statement)

    handed_on = HandedOn()
    fresh._configure_connection(handed_on)
    assert handed_on.prepare_threshold is None

    fresh._configure_connection(fresh.connection)
    assert fresh.connection.prepare_threshold


@pytest.mark.django_db(transaction=True)
class TestAColumnThatIsWidened:
    """As a migration does while this process goes on."""

    @pytest.fixture(autouse=True)
    def kept_prepared(self, fresh: Any) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE widened (word varchar(10))")
        connection.connection.prepare_threshold = PREPARED_AFTER
        for _ in range(4):
            assert self.words() == []
        # By another process: what a connection changes itself, psycopg knows.
        with fresh.cursor() as cursor:
            cursor.execute("ALTER TABLE widened ALTER COLUMN word TYPE varchar(11)")
        yield
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE widened")
        # The connection goes back to the pool, for other tests.
        connection.connection.prepare_threshold = PREPARED_AFTER

    def words(self) -> list[Any]:
        with bound_cursor() as cursor:
            cursor.execute("SELECT word FROM widened WHERE word <> %s", ["x"])
            return list(cursor.fetchall())

    def test_is_read_all_the_same(self) -> None:
        assert self.words() == [] == self.words()

    def test_costs_a_transaction_and_no_more(self) -> None:
        with pytest.raises(NotSupportedError), transaction.atomic():
            self.words()

        with transaction.atomic():
            assert self.words() == []
