from django.db import migrations, models


class Migration(migrations.Migration):
    """The rows are called metrics; the many-to-many that had the name had no table of its own."""

    dependencies = [("experiments", "0018_names_of_metric_fields")]
    operations = [
        migrations.RemoveField("experiment", "metrics"),
        migrations.AlterField(
            "experimentmetric",
            "experiment",
            models.ForeignKey(
                on_delete=models.deletion.CASCADE,
                related_name="metrics",
                to="experiments.experiment",
            ),
        ),
    ]
