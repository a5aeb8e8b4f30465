"""Where a running training run is."""

from django.db import migrations, models
from django.db.models import Value


class Migration(migrations.Migration):
    """A column with a default, so that no row is written."""

    dependencies = [("inference", "0017_groups_of_a_surface")]

    operations = [
        migrations.AddField(
            model_name="trainingrun",
            name="stage",
            field=models.JSONField(
                blank=True,
                db_default=Value({}, models.JSONField()),
                default=dict,
                help_text="Where a running run is: phase, step of steps, loss, seconds left.",
            ),
        ),
    ]
