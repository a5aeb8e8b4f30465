import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    # Of the state alone: there is no constraint in the database.

    dependencies = [
        ('experiments', '0046_feedback_to_label'),
    ]

    operations = [
        migrations.AlterField(
            model_name='themedtext',
            name='feedback',
            field=models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='themed', to='experiments.feedback'),
        ),
    ]
