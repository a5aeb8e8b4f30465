"""Remember which cluster's transaction ids the rows bear (decision 0003)."""

from django.db import migrations, models

FIRST = """
    DO $$ BEGIN
        INSERT INTO experiments_transactionclock (id, cluster, "offset")
            SELECT 1, system_identifier::text, 0 FROM pg_control_system();
    EXCEPTION WHEN insufficient_privilege THEN
        INSERT INTO experiments_transactionclock (id, cluster, "offset") VALUES (1, '', 0);
    END $$"""


class Migration(migrations.Migration):
    dependencies = [("experiments", "0013_exposure_last_epoch")]

    operations = [
        migrations.CreateModel(
            name="TransactionClock",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "cluster",
                    models.CharField(
                        help_text="system_identifier of the cluster; or nothing.", max_length=20
                    ),
                ),
                (
                    "offset",
                    models.BigIntegerField(
                        default=0, help_text="What is added to the cluster's own ids."
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("id", 1)), name="there_is_one_transaction_clock"
                    )
                ],
            },
        ),
        migrations.RunSQL(FIRST, migrations.RunSQL.noop),
    ]
