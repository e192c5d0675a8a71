from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gallery', '0002_alerts_and_circuits'),
    ]

    operations = [
        migrations.AddField(
            model_name='asset',
            name='preview_key',
            field=models.CharField(blank=True, default='', max_length=200),
        ),
        migrations.AddField(
            model_name='asset',
            name='thumbnails',
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
