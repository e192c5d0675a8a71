"""Tags go to rows that know their asset's time, names get their first version, assets the documents of search."""

from itertools import islice

from django.db import migrations
from django.db.models import Exists, OuterRef

from gallery import terms
from gallery.documents import terms_of

BATCH = 1000


def fill(apps, schema_editor):
    Asset, Tagging = apps.get_model("gallery", "Asset"), apps.get_model("gallery", "Tagging")
    ReferenceVersion = apps.get_model("gallery", "ReferenceVersion")
    AssetDocument = apps.get_model("gallery", "AssetDocument")
    worn = Asset.tags.through.objects.values_list("asset_id", "tag_id", "asset__created_at", "asset__trashed_at")
    for batch in batches(worn.order_by("pk").iterator(BATCH)):
        Tagging.objects.bulk_create(
            Tagging(asset_id=asset, tag_id=tag, created_at=created_at, kept=trashed_at is None)
            for asset, tag, created_at, trashed_at in batch
        )
    Asset.objects.filter(Exists(Tagging.objects.filter(asset=OuterRef("pk")))).update(tagged=True)
    named = Asset.objects.exclude(reference_name="")
    for batch in batches(named.iterator(BATCH)):
        ReferenceVersion.objects.bulk_create(
            ReferenceVersion(
                owner_id=asset.owner_id,
                name=asset.reference_name,
                version=1,
                asset=asset,
                created_at=asset.created_at,
            )
            for asset in batch
        )
    for batch in batches(Asset.objects.order_by("created_at", "pk").iterator(BATCH)):
        tags = {}
        for asset, name in Tagging.objects.filter(asset__in=batch).values_list("asset_id", "tag__name"):
            tags.setdefault(asset, []).append(name)
        AssetDocument.objects.bulk_create(
            AssetDocument(
                asset=asset,
                owner_id=asset.owner_id,
                created_at=asset.created_at,
                kept=asset.trashed_at is None,
                terms=terms.document(
                    terms_of(asset, tags=tags.get(asset.pk, []), collections=[]),
                    scope=terms.scope(asset.owner_id, kept=asset.trashed_at is None),
                    vendor=schema_editor.connection.vendor,
                ),
            )
            for asset in batch
        )


def batches(rows):
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield batch


class Migration(migrations.Migration):

    dependencies = [
        ("gallery", "0004_library"),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
