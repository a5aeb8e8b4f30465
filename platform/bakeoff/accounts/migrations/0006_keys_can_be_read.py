import datetime
from django.db import migrations, models

from bakeoff.accounts.readable_times import clamp_times

# What is no origin never matched one. A key that had nothing else keeps an origin that no page has:
# an empty list would open it to every page.
KEEP_ORIGINS = """UPDATE accounts_apikey SET allowed_origins = COALESCE(
        (SELECT jsonb_agg(origin) FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(allowed_origins) = 'array' THEN allowed_origins ELSE '[]' END
        ) AS origin WHERE jsonb_typeof(origin) = 'string' AND origin #>> '{}' ~ '^https?://[^/?#@[:space:]]+$'),
        '["https://origin.invalid"]')
    WHERE allowed_origins <> '[]'"""


class Migration(migrations.Migration):
    """Every key and project can be read: times that Python has, origins that are origins."""

    dependencies = [
        ('accounts', '0005_max_events_per_minute'),
    ]

    operations = [
        migrations.RunSQL(KEEP_ORIGINS, migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("accounts_apikey", "created_at", "revoked_at", "last_used_at"), migrations.RunSQL.noop),
        migrations.RunSQL(clamp_times("accounts_project", "created_at"), migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='project',
            name='max_events_per_minute',
            field=models.PositiveIntegerField(default=300, help_text='A unit with more events per minute is left out of analysis. Only events that a secret key sent count: with a public key anybody could have anybody left out.'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Func(models.F('allowed_origins'), output_field=models.BooleanField(), template='(jsonb_typeof(%(expressions)s) = \'array\' AND NOT jsonb_path_exists(%(expressions)s,\n            \'$[*] ? (@.type() != "string" || !(@ like_regex "^https?://[^/?#@[:space:]]+$"))\'))'), name='allowed_origins_are_origins'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('revoked_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc))), ('last_used_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='key_times_are_readable'),
        ),
        migrations.AddConstraint(
            model_name='project',
            constraint=models.CheckConstraint(condition=models.Q(('created_at__range', (datetime.datetime(1, 1, 2, 0, 0, tzinfo=datetime.timezone.utc), datetime.datetime(9999, 12, 30, 0, 0, tzinfo=datetime.timezone.utc)))), name='project_times_are_readable'),
        ),
    ]
