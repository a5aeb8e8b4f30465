from django.db import migrations, models


class Migration(migrations.Migration):
    """Not concurrently: ended by the limit on locks that would leave half an index, this leaves none."""

    dependencies = [
        ('accounts', '0017_sessions_expand'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['project', 'subject', '-at', '-id'], name='audit_by_subject'),
        ),
    ]
