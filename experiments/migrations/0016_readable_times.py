import datetime
from django.db import migrations, models

from bakeoff.accounts.readable_times import clamp_times


class Migration(migrations.Migration):
    """No row of the tables that every beat reads has a time that Python does not have."""

    dependencies = [
        ('accounts', '0006_keys_can_be_read'),
        ('experiments', '0015_exposures_claimed'),
        ('inference', '0009_readable_times'),
    ]

    operations = [
        migrations.RunSQL(clamp_times("experiments_epoch", "started_at", "ended_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("experiments_experiment", "created_at", "started_at", "ended_at", "archived_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("experiments_layer", "created_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("experiments_metric", "created_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("experiments_reportshare", "created_at", "expires_at", "revoked_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("experiments_savedgroup", "created_at"), migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='epoch',
            constraint=models.CheckConstraint(condition=models.Q(('started_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('ended_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='epoch_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='experiment',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('started_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('ended_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('archived_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='experiment_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='layer',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='layer_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='metric',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='metric_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='reportshare',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('expires_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('revoked_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='share_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='savedgroup',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='group_times_are_readable'),
        ),
    ]
