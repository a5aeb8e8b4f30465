"""Keys may have the scope `read`: no column changes, only what is said of one."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0019_invitation_mailed_expand'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=models.JSONField(blank=True, default=list, help_text='What it may do: serve, ingest, read, manage, export, admin.'),
        ),
    ]
