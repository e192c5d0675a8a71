"""The store lane goes by when the provider deletes."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("generation", "0005_alerts_and_circuits")]

    operations = [
        migrations.AddIndex(
            model_name="output",
            index=models.Index(fields=["expires_at"], condition=Q(state="waiting"), name="output_waiting_expiry"),
        ),
    ]
