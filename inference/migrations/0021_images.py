"""What came of fetching images, their vectors, and items by their image."""

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_owner_of_a_key'),
        ('inference', '0020_event_weights'),
    ]

    operations = [
        migrations.CreateModel(
            name='FetchedImage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('url_sha256', models.CharField(max_length=64)),
                ('url', models.CharField(max_length=2000)),
                ('image_sha256', models.CharField(blank=True, db_default='', help_text="Of the file's content; empty for none.", max_length=64)),
                ('refusal', models.CharField(blank=True, db_default='', help_text='Why the image is not used.', max_length=400)),
                ('tries', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='From when on a worker should fetch it; null when that is done.', null=True)),
                ('fetched_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='ImageVector',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('encoder_sha256', models.CharField(max_length=64)),
                ('image_sha256', models.CharField(max_length=64)),
                ('vector', models.BinaryField()),
            ],
        ),
        migrations.AddIndex(
            model_name='item',
            index=django.contrib.postgres.indexes.HashIndex(condition=models.Q(('image_url', ''), _negated=True), fields=['image_url'], name='items_by_image'),
        ),
        migrations.AddField(
            model_name='fetchedimage',
            name='project',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='images', to='accounts.project'),
        ),
        migrations.AddConstraint(
            model_name='imagevector',
            constraint=models.UniqueConstraint(fields=('encoder_sha256', 'image_sha256'), name='an_image_is_embedded_once'),
        ),
        migrations.AddIndex(
            model_name='fetchedimage',
            index=models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='images_to_be_fetched'),
        ),
        migrations.AddConstraint(
            model_name='fetchedimage',
            constraint=models.UniqueConstraint(fields=('project', 'url_sha256'), name='an_image_is_fetched_once'),
        ),
    ]
