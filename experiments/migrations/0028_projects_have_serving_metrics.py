from django.db import migrations

# As they stand when this is applied to a home; new projects get theirs with their first surface.
SERVING_METRICS = (
    ("serving-errors", "Failed answers", "slate.error", "ratio", "count", "decrease"),
    ("serving-fallbacks", "Fallbacks", "slate.fallback", "ratio", "count", "decrease"),
    ("serving-latency", "Latency (ms)", "slate.latency", "ratio", "sum", "decrease"),
    ("serving-cold-starts", "Cold starts", "slate.cold_start", "ratio", "count", "decrease"),
    ("serving-cost", "Cost of an answer", "slate.cost", "ratio", "sum", "decrease"),
    ("serving-items", "Distinct items", "slate.item", "mean", "items", "increase"),
)


def create_serving_metrics(apps, schema_editor):
    """Give the metrics over answers to projects with a surface that answers; existing ones stay."""
    Metric = apps.get_model("experiments", "Metric")
    surfaces = apps.get_model("inference", "Surface").objects.exclude(kind="flag")
    for project_id in surfaces.order_by("project_id").values_list("project_id", flat=True).distinct():
        events = dict(Metric.objects.filter(project_id=project_id).values_list("key", "event"))
        for key, name, event, kind, value, direction in SERVING_METRICS:
            names = (key, *(f"{key}-{number}" for number in range(2, 2 + len(events))))
            # Where the key names something else, the first that is free, as new projects do.
            free = next(one for one in names if events.get(one, event) == event)
            if free in events:
                continue
            Metric.objects.create(
                project_id=project_id,
                key=free,
                name=name,
                kind=kind,
                event=event,
                value=value,
                denominator="slate" if kind == "ratio" else "",
                direction=direction,
            )
            events[free] = event


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0027_breaker_counts_first_outcomes"),
        ("inference", "0010_algorithm"),
    ]

    operations = [
        migrations.RunPython(create_serving_metrics, migrations.RunPython.noop),
    ]
