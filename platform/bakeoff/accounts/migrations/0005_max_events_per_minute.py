from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_scopes_of_keys")]
    operations = [
        migrations.RenameField("project", "most_events_per_minute", "max_events_per_minute"),
    ]
