from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """What is trained is called an algorithm everywhere."""

    dependencies = [("inference", "0009_readable_times")]
    operations = [
        migrations.RenameField("surface", "retrain_recommender", "retrain_algorithm"),
        # Constraints that name a column are made anew; both tables have a row per training.
        migrations.RemoveConstraint("modelversion", "a_version_number_is_used_once"),
        migrations.RenameField("modelversion", "name", "algorithm"),
        migrations.AddConstraint(
            "modelversion",
            models.UniqueConstraint(
                fields=["surface", "algorithm", "number"], name="a_version_number_is_used_once"
            ),
        ),
        migrations.RemoveConstraint("trainingrun", "one_active_run_per_surface_and_recommender"),
        migrations.RenameField("trainingrun", "recommender", "algorithm"),
        migrations.AddConstraint(
            "trainingrun",
            models.UniqueConstraint(
                condition=Q(state__in=("queued", "running")),
                fields=["surface", "algorithm"],
                name="one_active_run_per_surface_and_algorithm",
            ),
        ),
    ]
