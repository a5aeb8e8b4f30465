import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0062_theme_names_expand'),
    ]

    operations = [
        migrations.AddField(
            model_name='theme',
            name='named_from',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='Keys of the feedback that the model read for the name.', null=True, size=None),
        ),
    ]
