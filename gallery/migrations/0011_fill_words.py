"""The words that owners' assets have, to be found with a typing error in them."""

from itertools import islice

from django.db import migrations

from gallery.documents import terms_of
from gallery.spelling import keys, worth

BATCH = 1000


def fill(apps, schema_editor):
    Asset, Tagging = apps.get_model("gallery", "Asset"), apps.get_model("gallery", "Tagging")
    Spelling = apps.get_model("gallery", "Spelling")
    known = set()
    assets = iter(Asset.objects.order_by("owner", "pk").iterator(BATCH))
    while batch := list(islice(assets, BATCH)):
        tags = {}
        for asset, name in Tagging.objects.filter(asset__in=batch).values_list("asset_id", "tag__name"):
            tags.setdefault(asset, []).append(name)
        found = {
            (asset.owner_id, word)
            for asset in batch
            for word in worth(terms_of(asset, tags=tags.get(asset.pk, []), collections=[]))
        }
        Spelling.objects.bulk_create(
            (
                Spelling(owner_id=owner, key=key, word=word)
                for owner, word in sorted(found - known)
                for key in keys(word)
            ),
            ignore_conflicts=True,
        )
        known |= found


class Migration(migrations.Migration):

    dependencies = [
        ("gallery", "0010_words_and_sizes"),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
