from django.db import migrations


def keep_primary_metrics(apps, schema_editor):
    """Let surfaces whose experiments the platform started go on with the metric of their newest one."""
    Programme = apps.get_model("experiments", "Programme")
    roles = apps.get_model("experiments", "ExperimentMetric").objects.filter(
        role="primary", experiment__owner="platform"
    )
    newest = {}
    for surface, metric in roles.order_by("experiment_id").values_list(
        "experiment__surface_id", "metric_id"
    ):
        newest[surface] = metric
    Programme.objects.bulk_create(
        Programme(surface_id=surface, primary_metric_id=metric) for surface, metric in newest.items()
    )


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0023_programme_of_a_surface"),
    ]

    operations = [
        migrations.RunPython(keep_primary_metrics, migrations.RunPython.noop),
    ]
