from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_storage_and_deletion")]

    operations = [
        migrations.CreateModel(
            name="CacheRow",
            fields=[
                ("key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("value", models.JSONField(null=True)),
                ("expires_at", models.DateTimeField(db_index=True, null=True)),
            ],
        ),
    ]
