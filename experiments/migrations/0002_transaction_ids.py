"""Give every record the id of the transaction that wrote it, for the roll-up's watermark."""

from django.db import migrations

TABLES = {
    "experiments_slate": "experiment_id",
    "experiments_exposure": "experiment_id",
    "experiments_event": "project_id",
    "experiments_feedback": "project_id",
}


class Migration(migrations.Migration):
    dependencies = [("experiments", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=f"""
                ALTER TABLE {table} ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
                CREATE INDEX {table}_xid ON {table} ({owner}, xid);
            """,
            reverse_sql=f"ALTER TABLE {table} DROP COLUMN xid;",
        )
        for table, owner in TABLES.items()
    ]
