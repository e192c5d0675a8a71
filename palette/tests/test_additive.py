"""Old and new code run side by side while a deployment goes on, so a migration only adds, and has a way back.

What old code does not know it neither fills nor reads: a new column is empty or has a default in the database itself;
nothing that it knows goes away, gets another name or takes less than before. What has to go, goes in the release after
the one that stopped using it: then the migration is named in `TAKEN_BACK`, with the release.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

APPS: Final = ("accounts", "gallery", "generation")
# Of each app, the migrations that were there before the rule; a first release brings all of them at once.
BEFORE: Final = {"accounts": 14, "gallery": 11, "generation": 15}
TAKEN_BACK: Final[dict[str, str]] = {}
TAKING: Final = (
    *(migrations.RemoveField, migrations.RenameField, migrations.RenameModel, migrations.DeleteModel),
    *(migrations.AlterModelTable, migrations.AlterUniqueTogether),
)
# From what to what a column may change and still take all that it took, and be read as it was.
WIDER: Final = {
    *(("CharField", "TextField"), ("SlugField", "CharField"), ("SlugField", "TextField"), ("URLField", "TextField")),
    *(("SmallIntegerField", "IntegerField"), ("SmallIntegerField", "BigIntegerField")),
    *(("IntegerField", "BigIntegerField"), ("PositiveIntegerField", "PositiveBigIntegerField")),
}
DESTROYING: Final = ("DROP TABLE", "DROP COLUMN", "RENAME ", "SET NOT NULL", " TYPE ", "TRUNCATE", "DELETE FROM")


def breaks(operation: Operation, app: str, before: ProjectState, made: Collection[str] = ()) -> bool:
    """Whether code that was written before would stumble over it, or nobody could take it back.

    `made` are the models that the same migration has made: no old code knows them.
    """
    if isinstance(operation, TAKING):
        return True
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return any(breaks(inner, app, before, made) for inner in operation.database_operations)
    if isinstance(operation, migrations.RunSQL):
        return not operation.reversible or any(word in str(operation.sql).upper() for word in DESTROYING)
    if isinstance(operation, migrations.RunPython):
        return not operation.reversible
    if isinstance(operation, migrations.AddField) and operation.model_name_lower not in made:
        return not isinstance(operation.field, models.ManyToManyField) and must_be_filled(operation.field)
    if isinstance(operation, migrations.AlterField) and operation.model_name_lower not in made:
        return takes_less(before.models[app, operation.model_name_lower].get_field(operation.name), operation.field)
    return False


def must_be_filled(field: Any) -> bool:
    """Whether a row of somebody who does not name this column is refused."""
    return not field.null and field.db_default is models.NOT_PROVIDED


def takes_less(old: Any, new: Any) -> bool:
    """Whether the column refuses, or cuts, what it took before."""
    kinds = old.get_internal_type(), new.get_internal_type()
    if kinds[0] != kinds[1]:
        return kinds not in WIDER
    measures = [name for name in ("max_length", "max_digits", "decimal_places") if name in vars(old)]
    return (
        any(limit(new, name) < limit(old, name) for name in measures)
        or (old.null and not new.null)
        or (must_be_filled(new) and not must_be_filled(old))
        or (new.unique and not old.unique)
        or (old.db_column, old.related_model) != (new.db_column, new.related_model)
    )


def limit(field: Any, name: str) -> float:
    """How much a field takes by this measure."""
    given = getattr(field, name)
    return float("inf") if given is None else given


def judged() -> Iterator[tuple[str, Operation, bool]]:
    """Each operation of the migrations that the rule is for, and whether it breaks something."""
    loader = MigrationLoader(None)
    for app, name in sorted(loader.disk_migrations):
        if app in APPS and int(name[:4]) > BEFORE[app] and f"{app}.{name}" not in TAKEN_BACK:
            state, made = loader.project_state((app, name), at_end=False), set[str]()
            for operation in loader.disk_migrations[app, name].operations:
                yield f"{app}.{name}", operation, breaks(operation, app, state, made)
                operation.state_forwards(app, state)
                if isinstance(operation, migrations.CreateModel):
                    made.add(operation.name_lower)


def test_migrations_only_add() -> None:
    assert [f"{name}: {operation.describe()}" for name, operation, wrong in judged() if wrong] == []


SAFE: Final = (
    migrations.AddField("prediction", "note", models.TextField(null=True)),
    migrations.AddField("prediction", "note", models.TextField(db_default="")),
    migrations.AddField("note", "body", models.TextField()),
    migrations.AlterField("prediction", "title", models.CharField(max_length=61)),
    migrations.AlterField("prediction", "title", models.TextField()),
    migrations.AlterField("prediction", "title", models.CharField(max_length=60, null=True, choices=[("a", "A")])),
    migrations.AlterField("prediction", "price", models.DecimalField(max_digits=12, decimal_places=6)),
    migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
    migrations.RunSQL("CREATE INDEX a ON b (c)", "DROP INDEX a"),
    migrations.SeparateDatabaseAndState([], [migrations.RemoveField("prediction", "title")]),
    migrations.CreateModel("other", []),
)
UNSAFE: Final = (
    migrations.AddField("prediction", "note", models.TextField(default="")),
    migrations.AlterField("prediction", "title", models.CharField(max_length=59)),
    migrations.AlterField("prediction", "title", models.IntegerField()),
    migrations.AlterField("prediction", "title", models.CharField(max_length=60, unique=True)),
    migrations.AlterField("prediction", "title", models.CharField(max_length=60, db_column="name")),
    migrations.AlterField("prediction", "remark", models.CharField(max_length=60)),
    migrations.AlterField("prediction", "remark", models.CharField(max_length=60, db_default="")),
    migrations.AlterField("prediction", "kind", models.CharField(max_length=60)),
    migrations.AlterField("prediction", "price", models.DecimalField(max_digits=9, decimal_places=2)),
    migrations.RemoveField("prediction", "title"),
    migrations.RenameField("prediction", "title", "remark"),
    migrations.RenameModel("prediction", "run"),
    migrations.DeleteModel("prediction"),
    migrations.RunPython(migrations.RunPython.noop),
    migrations.RunSQL("CREATE INDEX a ON b (c)"),
    migrations.RunSQL("ALTER TABLE a DROP COLUMN b", migrations.RunSQL.noop),
    migrations.SeparateDatabaseAndState([migrations.RemoveField("prediction", "title")]),
)


@pytest.mark.parametrize(
    ("operation", "stumbles"), [*((safe, False) for safe in SAFE), *((unsafe, True) for unsafe in UNSAFE)]
)
def test_tells_what_old_code_would_stumble_over(operation: Operation, stumbles: bool) -> None:
    fields: dict[str, models.Field[Any, Any]] = {
        "title": models.CharField(max_length=60),
        "remark": models.CharField(max_length=60, null=True),
        "kind": models.CharField(max_length=60, db_default=""),
        "price": models.DecimalField(max_digits=9, decimal_places=6),
    }
    before = ProjectState()
    before.add_model(ModelState("generation", "Prediction", list(fields.items())))

    assert breaks(operation, "generation", before, made={"note"}) is stumbles
