from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0004_quota_alerts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alert',
            name='event',
            field=models.CharField(choices=[('verdict', 'verdict'), ('breaker_trip', 'circuit breaker tripped'), ('halt', 'experiment halted'), ('ramp_held', 'ramp step held'), ('decision_needed', 'decision needed'), ('training_failed', 'training failed'), ('training_refused', 'training refused'), ('drift', 'drift'), ('holdback_lost', 'holdback lost'), ('theme_new', 'new theme of feedback'), ('theme_growing', 'growing theme of feedback'), ('buffer_filling', 'buffer filling'), ('worker_gone', 'worker gone'), ('quota', 'quota used'), ('mention', 'mention in a comment'), ('digest', 'weekly digest'), ('test', 'test')], max_length=32),
        ),
    ]
