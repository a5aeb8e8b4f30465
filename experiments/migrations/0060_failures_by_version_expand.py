from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0059_labels_of_texts_expand'),
    ]

    operations = [
        migrations.AddField(
            model_name='interleavedunit',
            name='control_failed',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='Of them those that the control failed.'),
        ),
        migrations.AddField(
            model_name='interleavedunit',
            name='version_failed',
            field=models.PositiveIntegerField(help_text='Of them those that this version failed; empty where that was not counted yet.', null=True),
        ),
    ]
