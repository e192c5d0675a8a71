from django.db import migrations, models

import accounts.models.tokens


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0009_notices_with_figures'),
    ]

    operations = [
        migrations.AddField(
            model_name='apitoken',
            name='scopes',
            field=models.JSONField(default=accounts.models.tokens.every_scope),
        ),
    ]
