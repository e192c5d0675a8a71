"""What every owner's assets take of the store, added up once."""

from django.db import migrations
from django.db.models import Sum


def forwards(apps, schema_editor):
    rows = apps.get_model("gallery", "Asset").objects.order_by().values("owner").annotate(bytes=Sum("size_bytes"))
    use = apps.get_model("accounts", "StorageUse")
    use.objects.bulk_create(
        [use(user_id=row["owner"], used_bytes=row["bytes"]) for row in rows], batch_size=500, ignore_conflicts=True
    )


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0012_storage_and_deletion"),
        ("gallery", "0008_purge"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
