from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0030_theme_namer_expand'),
    ]

    operations = [
        migrations.AddField(
            model_name='policycount',
            name='stored_from',
            field=models.UUIDField(help_text='Decisions below it went by retention or to the archive, and stay counted.', null=True),
        ),
        migrations.AddField(
            model_name='policycount',
            name='counted_until',
            field=models.DateTimeField(help_text='Decisions before it have been counted; empty: none.', null=True),
        ),
        migrations.AddField(
            model_name='policycount',
            name='running',
            field=models.JSONField(help_text='Points of a count that has not come to its end; empty: none runs.', null=True),
        ),
        migrations.AddField(
            model_name='policycount',
            name='running_upper',
            field=models.BigIntegerField(help_text='That count reads transactions below this one.', null=True),
        ),
        migrations.AddField(
            model_name='policycount',
            name='running_expected',
            field=models.BigIntegerField(help_text='About how many decisions it will have counted.', null=True),
        ),
    ]
