from django.db import migrations, models

FILL = """UPDATE accounts_apikey SET scopes = CASE kind WHEN 'pk' THEN '["serve", "ingest"]'::jsonb
    ELSE '["serve", "ingest", "manage", "export", "admin"]'::jsonb END"""


class Migration(migrations.Migration):
    """Keys keep what they could do: until now nobody asked for their scopes."""

    dependencies = [
        ("accounts", "0003_faces"),
    ]

    operations = [
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="apikey",
            name="scopes",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="What it may do: serve, ingest, read, manage, export, admin.",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="allowed_origins",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Origins of pages that may use it; empty: every page.",
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "pk"), _negated=True)
                | models.Q(("scopes__contained_by", ["serve", "ingest"])),
                name="a_public_key_serves_and_ingests",
            ),
        ),
    ]
