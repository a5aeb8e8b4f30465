import datetime
from django.db import migrations, models

from bakeoff.accounts.readable_times import clamp_times


class Migration(migrations.Migration):
    """No row of the tables that every beat reads has a time that Python does not have."""

    dependencies = [
        ('accounts', '0006_keys_can_be_read'),
        ('inference', '0008_artifact_store'),
    ]

    operations = [
        migrations.RunSQL(clamp_times("inference_modelversion", "created_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("inference_surface", "last_retrained_at", "retraining_until", "created_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("inference_trainingrun", "heartbeat_at", "queued_at", "started_at", "ended_at"), migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='version_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='surface',
            constraint=models.CheckConstraint(condition=models.Q(('last_retrained_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('retraining_until__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='surface_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='trainingrun',
            constraint=models.CheckConstraint(condition=models.Q(('heartbeat_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('queued_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('started_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('ended_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='run_times_are_readable'),
        ),
    ]
