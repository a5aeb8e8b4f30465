from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0050_clusters'),
    ]

    operations = [
        migrations.AddField(
            model_name='metric',
            name='description',
            field=models.TextField(blank=True, db_default='', default='', help_text='What it says of users, and when to use it; nothing is counted by it.'),
        ),
        migrations.AddField(
            model_name='metric',
            name='owner',
            field=models.CharField(blank=True, db_default='', default='', help_text='Who answers questions about it.', max_length=150),
        ),
        migrations.AddField(
            model_name='metric',
            name='tags',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='By which people find it: ["engagement"].'),
        ),
    ]
