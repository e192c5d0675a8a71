"""On SQLite each facet is found within its owner's gallery alone, as on PostgreSQL, without walking all that is his.

A document says first whose it is. The index takes each of its facets once more, with that before it; the documents stay
as they are, and so do the terms that processes of the release before ask for.
"""

from django.db import migrations

# What stands in front of an owner and of a facet (`gallery.terms.MARK`).
FACET = "' ' || char(57344)"


def indexed(row):
    """What the index takes of a document's terms: facets stand behind words, and whose it is before the first space."""
    terms = f"{row}.terms"
    return f"""{terms} || replace(
        substr({terms}, instr({terms}, {FACET})), {FACET}, ' ' || substr({terms}, 1, instr({terms}, ' ') - 1)
    )"""


def index(content, take):
    """The table and its triggers, filled from `content`."""
    new, old = take("new"), take("old")
    return [
        f"""CREATE VIRTUAL TABLE gallery_assetterms USING fts5(
            terms, content='{content}', content_rowid='id',
            tokenize='unicode61 remove_diacritics 0', prefix='2 3 4 5 6', detail=none, columnsize=0
        )""",
        f"""CREATE TRIGGER document_written AFTER INSERT ON gallery_assetdocument BEGIN
            INSERT INTO gallery_assetterms (rowid, terms) VALUES (new.id, {new});
        END""",  # nosec B608  (all of it is ours)
        f"""CREATE TRIGGER document_removed AFTER DELETE ON gallery_assetdocument BEGIN
            INSERT INTO gallery_assetterms (gallery_assetterms, rowid, terms) VALUES ('delete', old.id, {old});
        END""",  # nosec B608  (all of it is ours)
        f"""CREATE TRIGGER document_rewritten AFTER UPDATE OF id, terms ON gallery_assetdocument BEGIN
            INSERT INTO gallery_assetterms (gallery_assetterms, rowid, terms) VALUES ('delete', old.id, {old});
            INSERT INTO gallery_assetterms (rowid, terms) VALUES (new.id, {new});
        END""",  # nosec B608  (all of it is ours)
        "INSERT INTO gallery_assetterms (gallery_assetterms) VALUES ('rebuild')",
    ]


DROP = [
    *(f"DROP TRIGGER document_{event}" for event in ("written", "removed", "rewritten")),
    "DROP TABLE gallery_assetterms",
]
VIEW = f"CREATE VIEW gallery_indexeddocument AS SELECT d.id, {indexed('d')} AS terms FROM gallery_assetdocument d"  # nosec B608
# For who fills the table by hand: the triggers once more, and the index.
SQLITE = index("gallery_indexeddocument", indexed)


def forwards(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for statement in [*DROP, VIEW, *SQLITE]:
            schema_editor.execute(statement)


def backwards(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        before = index("gallery_assetdocument", lambda row: f"{row}.terms")
        for statement in [*DROP, "DROP VIEW gallery_indexeddocument", *before]:
            schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ("gallery", "0011_fill_words"),
    ]

    operations = [
        migrations.RunPython(forwards, backwards),
    ]
