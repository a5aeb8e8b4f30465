"""Keep no statistics of the columns that say whose a row is.

Traffic begins within minutes: a table whose statistics know nobody of a new project, or nothing of a
new experiment, made the planner expect one row where there were 50,000. Without statistics it takes
each project for a fixed small share of the table as large as it is now, so that a plan stays right
while the rows come in. Changing a column to the type that it has drops the statistics that are there,
and rewrites nothing. Indexes that the unique keys make superfluous go: on a small table the planner
could take them instead.
"""

import django.db.models.deletion
from django.db import migrations, models

OWNERS = {
    "experiments_event": ("project_id",),
    "experiments_eventid": ("project_id",),
    "experiments_slate": ("project_id", "experiment_id"),
    "experiments_exposure": ("project_id", "experiment_id"),
    "experiments_feedback": ("project_id",),
    "experiments_excludedunit": ("project_id",),
    "experiments_unit": ("project_id",),
    "experiments_link": ("project_id",),
    "experiments_observation": ("experiment_id", "metric_id"),
    "experiments_total": ("experiment_id", "metric_id"),
    "experiments_exposuretotal": ("experiment_id",),
    "experiments_quantilecount": ("experiment_id", "metric_id"),
}


class Migration(migrations.Migration):
    dependencies = [("experiments", "0011_links_by_user")]

    operations = [
        *(
            migrations.AlterField(
                model_name=model,
                name="project",
                field=models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name=related,
                    to="accounts.project",
                ),
            )
            for model, related in {
                "unit": "units",
                "excludedunit": "excluded_units",
                "link": "links",
            }.items()
        ),
        *(
        migrations.RunSQL(
            sql=f"""ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint;
                ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0;""",
            reverse_sql=f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1;",
        )
        for table, columns in OWNERS.items()
        for column in columns
        ),
    ]
