from django.db import migrations, models
from django.db.models import Case, Q, Value, When


def read_direction(apps, schema_editor):
    """Say as a word what a boolean said; there are few metrics."""
    decrease = When(increase_is_good=False, then=Value("decrease"))
    metrics = apps.get_model("experiments", "Metric").objects
    metrics.update(direction=Case(decrease, default=Value("increase")))


def write_boolean(apps, schema_editor):
    apps.get_model("experiments", "Metric").objects.filter(direction="decrease").update(
        increase_is_good=False
    )


class Migration(migrations.Migration):
    """Columns of a metric are called as its frozen definition calls them."""

    dependencies = [("experiments", "0017_learnings_and_creators")]
    operations = [
        # Their conditions name the columns.
        migrations.RemoveConstraint("metric", "a_ratio_has_a_denominator"),
        migrations.RemoveConstraint("metric", "a_metric_counts_an_event"),
        migrations.RenameField("metric", "event_name", "event"),
        migrations.RenameField("metric", "denominator_event", "denominator"),
        migrations.RenameField("metric", "covariate_seconds", "lookback_seconds"),
        migrations.AddConstraint(
            "metric",
            models.CheckConstraint(
                condition=~Q(kind="ratio") | ~Q(denominator=""), name="a_ratio_has_a_denominator"
            ),
        ),
        migrations.AddConstraint(
            "metric",
            models.CheckConstraint(
                condition=Q(kind="funnel") | ~Q(event=""), name="a_metric_counts_an_event"
            ),
        ),
        migrations.AddField(
            "metric",
            "direction",
            models.CharField(
                choices=[("increase", "Increase"), ("decrease", "Decrease")],
                default="increase",
                help_text="Which change is good.",
                max_length=8,
            ),
        ),
        migrations.RunPython(read_direction, write_boolean),
        migrations.RemoveField("metric", "increase_is_good"),
    ]
