from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_owner_of_a_key")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="is_sample",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text=(
                    "Whether it is the sample shop, whose visitors are simulated; it may be removed."
                ),
            ),
        )
    ]
