"""When an invitation went out by e-mail: a column that older processes leave alone."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0018_audit_by_subject'),
    ]

    operations = [
        migrations.AddField(
            model_name='invitation',
            name='mailed_at',
            field=models.DateTimeField(blank=True, help_text='When the SMTP server took an e-mail with its present link.', null=True),
        ),
    ]
