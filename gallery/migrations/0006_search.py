"""The index of search: GIN on PostgreSQL, an FTS5 table kept by triggers on SQLite; the old table of tags goes."""

from django.db import migrations, models

POSTGRESQL = [
    # Without the list of what is pending, a search does not pay for what was written just before.
    "CREATE INDEX document_terms ON gallery_assetdocument USING gin (terms) WITH (fastupdate = off)",
]
SQLITE = [
    """CREATE VIRTUAL TABLE gallery_assetterms USING fts5(
        terms, content='gallery_assetdocument', content_rowid='id',
        tokenize='unicode61 remove_diacritics 0', prefix='2 3 4 5 6', detail=none, columnsize=0
    )""",
    """CREATE TRIGGER document_written AFTER INSERT ON gallery_assetdocument BEGIN
        INSERT INTO gallery_assetterms (rowid, terms) VALUES (new.id, new.terms);
    END""",
    """CREATE TRIGGER document_removed AFTER DELETE ON gallery_assetdocument BEGIN
        INSERT INTO gallery_assetterms (gallery_assetterms, rowid, terms) VALUES ('delete', old.id, old.terms);
    END""",
    """CREATE TRIGGER document_rewritten AFTER UPDATE OF id, terms ON gallery_assetdocument BEGIN
        INSERT INTO gallery_assetterms (gallery_assetterms, rowid, terms) VALUES ('delete', old.id, old.terms);
        INSERT INTO gallery_assetterms (rowid, terms) VALUES (new.id, new.terms);
    END""",
    "INSERT INTO gallery_assetterms (gallery_assetterms) VALUES ('rebuild')",
]
BACK = {
    "postgresql": ["DROP INDEX document_terms"],
    "sqlite": [
        *(f"DROP TRIGGER document_{event}" for event in ("written", "removed", "rewritten")),
        "DROP TABLE gallery_assetterms",
    ],
}


def forwards(apps, schema_editor):
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


def backwards(apps, schema_editor):
    for statement in BACK[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ("gallery", "0005_fill_library"),
    ]

    operations = [
        migrations.RunPython(forwards, backwards),
        migrations.RemoveField(model_name="asset", name="tags"),
        migrations.AddField(
            model_name="asset",
            name="tags",
            field=models.ManyToManyField(
                blank=True, related_name="assets", through="gallery.Tagging", to="gallery.tag"
            ),
        ),
    ]
