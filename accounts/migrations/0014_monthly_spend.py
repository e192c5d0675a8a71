"""Add the daily sums of each month up, and count how often a counter was set right."""

from django.db import migrations, models
from django.db.models import Sum
from django.db.models.functions import TruncMonth

NAMES = ("user_scope", "provider", "model", "end")
COLUMNS = ("ended", "count", "micros", "estimated_micros")


def fill(apps, schema_editor):
    Daily, Monthly = apps.get_model("accounts", "DailySpend"), apps.get_model("accounts", "MonthlySpend")
    sums = {f"total_{name}": Sum(name) for name in COLUMNS}
    rows = Daily.objects.order_by().annotate(month=TruncMonth("day")).values_list("month", *NAMES).annotate(**sums)
    columns = ("day", *NAMES, *COLUMNS)
    Monthly.objects.bulk_create(
        [Monthly(**dict(zip(columns, row, strict=True))) for row in rows.iterator()], batch_size=500
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_cache_in_the_database"),
    ]

    operations = [
        migrations.CreateModel(
            name="MonthlySpend",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("user_scope", models.CharField(max_length=64)),
                ("provider", models.CharField(max_length=16)),
                ("model", models.CharField(max_length=128)),
                ("end", models.CharField(max_length=10)),
                ("ended", models.IntegerField(default=0)),
                ("count", models.IntegerField(default=0)),
                ("micros", models.BigIntegerField(default=0)),
                ("estimated_micros", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name="quotaperiod",
            name="repairs",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(
                condition=models.Q(("kind", "settle")),
                fields=["estimated", "-id", "kind"],
                name="ledger_settled_newest",
            ),
        ),
        migrations.AddConstraint(
            model_name="monthlyspend",
            constraint=models.UniqueConstraint(fields=("day", "user_scope", "model", "end"), name="monthly_spend_once"),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
