"""Partition slates and events; `experiments.ingest.partitions` makes the months.

Django's state does not change: the columns and the names of the indexes stay. Rows that are there go
into the default partitions, and from there into their months when those are made.
"""

from django.db import migrations

EVENT = """
    id bigint NOT NULL DEFAULT nextval('experiments_event_number'),
    project_id bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    claimed_at timestamptz,
    value float8,
    recommendation_id uuid,
    item_known boolean NOT NULL DEFAULT true,
    inferred boolean NOT NULL DEFAULT false,
    trainable boolean NOT NULL DEFAULT true,
    name varchar(100) NOT NULL,
    unit_id varchar(200) NOT NULL,
    event_id varchar(200) NOT NULL,
    item_id varchar(200),
    source varchar(8) NOT NULL DEFAULT 'live',
    properties jsonb NOT NULL DEFAULT '{}'"""
SLATE = """
    recommendation_id uuid NOT NULL,
    project_id bigint NOT NULL,
    surface_id bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    experiment_id bigint,
    variant_id bigint,
    model_version_id bigint,
    served_at timestamptz NOT NULL,
    variant_weight float8,
    exploration float8 NOT NULL,
    latency_ms float8 NOT NULL,
    candidate_count integer NOT NULL CHECK (candidate_count >= 0),
    forced boolean NOT NULL,
    trainable boolean NOT NULL,
    reason varchar(32) NOT NULL,
    fallback varchar(32),
    candidate_hash varchar(16) NOT NULL,
    unit_id varchar(200) NOT NULL,
    slots jsonb NOT NULL,
    context jsonb NOT NULL,
    pair jsonb"""


def _names(columns: str) -> str:
    return ", ".join(line.split()[0] for line in columns.strip().splitlines())


def _partitioned(table: str, columns: str, key: str, indexes: str) -> str:
    return f"""
        ALTER TABLE {table} RENAME TO {table}_old;
        CREATE TABLE {table} ({columns}) PARTITION BY RANGE ({key});
        CREATE TABLE {table}_default PARTITION OF {table} DEFAULT;
        INSERT INTO {table} ({_names(columns)}) SELECT {_names(columns)} FROM {table}_old;
        DROP TABLE {table}_old CASCADE;
        {indexes}
    """


class Migration(migrations.Migration):
    dependencies = [("experiments", "0004_ingestion")]

    operations = [
        migrations.RunSQL(
            """CREATE SEQUENCE experiments_event_number;
            SELECT setval('experiments_event_number', coalesce(max(id), 1)) FROM experiments_event;
            INSERT INTO experiments_eventid (project_id, event_id, received_at)
                SELECT project_id, event_id, received_at FROM experiments_event;"""
            + _partitioned(
                "experiments_event",
                EVENT,
                "occurred_at",
                """CREATE INDEX experiments_project_d15a4a_idx
                    ON experiments_event (project_id, unit_id, occurred_at);
                CREATE INDEX experiments_event_xid ON experiments_event (project_id, xid);
                CREATE INDEX experiments_event_received
                    ON experiments_event USING brin (received_at);
                ALTER SEQUENCE experiments_event_number OWNED BY experiments_event.id;""",
            )
            + _partitioned(
                "experiments_slate",
                SLATE,
                "recommendation_id",
                """ALTER TABLE experiments_slate ADD PRIMARY KEY (recommendation_id);
                CREATE INDEX experiments_project_8574bd_idx
                    ON experiments_slate (project_id, unit_id, served_at);
                CREATE INDEX experiments_slate_xid ON experiments_slate (experiment_id, xid);""",
            ),
            migrations.RunSQL.noop,
        )
    ]
