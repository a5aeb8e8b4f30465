from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0045_surveys'),
    ]

    operations = [
        migrations.AlterField(
            model_name='labeltask',
            name='source_id',
            field=models.CharField(help_text="`answer:` and the recommendation's id, `example:` and the example's, or `feedback:` and the feedback's.", max_length=220),
        ),
        migrations.AlterField(
            model_name='labeltask',
            name='unit_id',
            field=models.CharField(blank=True, help_text='Who was answered, or wrote.', max_length=200),
        ),
    ]
