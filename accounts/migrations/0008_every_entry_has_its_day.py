from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_fill_daily_spend")]
    operations = [
        migrations.AlterField(
            model_name="ledgerentry", name="booked_on", field=models.DateField(db_index=True)
        )
    ]
