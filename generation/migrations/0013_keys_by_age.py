from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("generation", "0012_outgoing_webhooks")]

    operations = [
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(
                condition=models.Q(("idempotency_key__isnull", False)), fields=["created_at"], name="prediction_keyed"
            ),
        ),
    ]
