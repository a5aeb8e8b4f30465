from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0064_deleted_decisions_expand'),
    ]

    operations = [
        migrations.AddField(
            model_name='interleavedunit',
            name='weighted',
            field=models.FloatField(help_text="The score, each slate's over the root of its number; empty: without weights.", null=True),
        ),
    ]
