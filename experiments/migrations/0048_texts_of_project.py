from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0047_themed_texts_go_by_unit'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='feedback',
            index=models.Index(condition=models.Q(('kind', 'text')), fields=['project', 'id'], name='texts_of_project'),
        ),
    ]
