"""Old and new code run side by side while a deployment goes on, so a migration only adds.

What old code does not know it neither fills nor reads: a new column is empty or has a default in the database itself,
and nothing that it knows goes away or gets another name. What has to go, goes in the release after the one that stopped
using it: then the migration is named in `TAKEN_BACK`, with the release.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

APPS: Final = ("accounts", "gallery", "generation")
# Of each app, the migrations that were there before the rule; a first release brings all of them at once.
BEFORE: Final = {"accounts": 14, "gallery": 11, "generation": 15}
TAKEN_BACK: Final[dict[str, str]] = {}
TAKING: Final = (
    *(migrations.RemoveField, migrations.RenameField, migrations.RenameModel, migrations.DeleteModel),
    *(migrations.AlterModelTable, migrations.AlterUniqueTogether),
)


def breaks(operation: Operation) -> bool:
    """Whether code that was written before would stumble over it."""
    if isinstance(operation, TAKING):
        return True
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return any(map(breaks, operation.database_operations))
    if isinstance(operation, migrations.AddField) and not isinstance(operation.field, models.ManyToManyField):
        return not (operation.field.null or operation.field.db_default is not models.NOT_PROVIDED)
    if isinstance(operation, migrations.RunSQL):
        return any(word in str(operation.sql).upper() for word in ("DROP TABLE", "DROP COLUMN", "RENAME "))
    return False


def judged() -> Iterator[tuple[str, Operation]]:
    """Each operation of the migrations that the rule is for."""
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        if app in APPS and int(name[:4]) > BEFORE[app] and f"{app}.{name}" not in TAKEN_BACK:
            yield from ((f"{app}.{name}", operation) for operation in migration.operations)


def test_migrations_only_add() -> None:
    assert [f"{name}: {operation.describe()}" for name, operation in judged() if breaks(operation)] == []


@pytest.mark.parametrize(
    ("operation", "stumbles"),
    [
        (migrations.AddField("prediction", "note", models.TextField(null=True)), False),
        (migrations.AddField("prediction", "note", models.TextField(default="")), True),
        (migrations.AddField("prediction", "note", models.TextField(db_default="")), False),
        (migrations.RemoveField("prediction", "note"), True),
        (migrations.RenameField("prediction", "note", "remark"), True),
        (migrations.RunSQL("ALTER TABLE a DROP COLUMN b"), True),
        (migrations.SeparateDatabaseAndState([migrations.RemoveField("prediction", "note")]), True),
        (migrations.SeparateDatabaseAndState([], [migrations.RemoveField("prediction", "note")]), False),
        (migrations.CreateModel("note", []), False),
    ],
)
def test_tells_what_old_code_would_stumble_over(operation: Operation, stumbles: bool) -> None:
    assert breaks(operation) is stumbles
