from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("experiments", "0016_readable_times")]
    operations = [
        migrations.RenameField("experiment", "lesson", "learnings"),
        migrations.RenameField("decision", "made_by", "created_by"),
        migrations.RenameField("decision", "made_at", "created_at"),
        migrations.RenameField("reportshare", "made_by", "created_by"),
    ]
