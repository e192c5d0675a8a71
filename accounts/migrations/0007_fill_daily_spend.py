"""Give old ledger entries their day and their end, and count the daily sums from them."""

from collections import defaultdict
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import migrations


def fill(apps, schema_editor):
    Entry, Period = apps.get_model("accounts", "LedgerEntry"), apps.get_model("accounts", "QuotaPeriod")
    starts = dict(Period.objects.filter(period="day").values_list("pk", "starts_on"))
    zone = ZoneInfo(settings.TIME_ZONE)
    # Left behind by an earlier time, when this is done again after a migration backwards.
    apps.get_model("accounts", "DailySpend").objects.all().delete()
    sums, ends = defaultdict(lambda: [0, 0, 0, 0]), {}
    for entry in Entry.objects.order_by("id").iterator():
        days = [starts[pk] for pk in entry.periods if pk in starts]
        entry.booked_on = days[0] if days else entry.created_at.astimezone(zone).date()
        if entry.kind in ("settle", "release"):
            entry.end = end_of(entry)
            ends[entry.reference] = entry.end
        elif entry.kind == "correct":
            entry.end = ends.get(entry.reference) or "failed"
        entry.save(update_fields=["booked_on", "end"])
        if entry.end:
            charged = entry.kind != "release"
            micros = entry.amount_micros if charged else 0
            key = (entry.booked_on, entry.user_scope, entry.user_id, entry.provider, entry.model, entry.end)
            figures = [entry.kind != "correct", entry.count * charged, micros, micros * entry.estimated]
            sums[key] = [int(a + b) for a, b in zip(sums[key], figures, strict=True)]
    write(apps.get_model("accounts", "DailySpend"), sums)


def end_of(entry):
    if entry.kind == "settle":
        return "succeeded"
    if entry.reason.startswith("passed over"):
        return ""
    # The notes of the releases so far.
    if entry.reason.startswith("Canceled"):
        return "canceled"
    return "aborted" if entry.reason.startswith("Not started in time") else "failed"


def write(DailySpend, sums):
    names = ("day", "user_scope", "user_id", "provider", "model", "end")
    columns = ("ended", "count", "micros", "estimated_micros")
    DailySpend.objects.bulk_create(
        [
            DailySpend(**dict(zip(names, key, strict=True)), **dict(zip(columns, figures, strict=True)))
            for key, figures in sums.items()
        ],
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_money_and_oversight")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
