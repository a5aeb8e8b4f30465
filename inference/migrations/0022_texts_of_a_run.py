"""What people wrote, where an encoder is adapted to it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0021_images'),
    ]

    operations = [
        migrations.AddField(
            model_name='trainingrun',
            name='texts',
            field=models.ForeignKey(blank=True, help_text="What people wrote: an encoder is adapted to it, beside the catalogue's texts.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='adapted_runs', to='inference.snapshot'),
        ),
    ]
