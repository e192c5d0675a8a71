"""An e-mail is one account's. Where several have it, the oldest keeps it; the others sign in by name."""

from django.db import migrations, models
from django.db.models.functions import Lower


def leave_it_to_the_oldest(apps, schema_editor):
    User = apps.get_model("accounts", "User")
    seen = set()
    for pk, email in User.objects.exclude(email="").order_by("pk").values_list("pk", Lower("email")):
        if email in seen:
            User.objects.filter(pk=pk).update(email="")
        seen.add(email)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_limits_in_words")]

    operations = [
        migrations.RunPython(leave_it_to_the_oldest, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                Lower("email"),
                condition=~models.Q(email=""),
                name="one_account_for_each_email",
                violation_error_message="Another account has this e-mail.",
            ),
        ),
    ]
