"""The words of items, by which they are found."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """A column that PostgreSQL keeps itself, so that no writer can forget it."""

    dependencies: ClassVar = [("inference", "0014_item_neighbours")]
    operations: ClassVar = [
        migrations.RunSQL(
            sql="""
                ALTER TABLE inference_item ADD COLUMN document tsvector GENERATED ALWAYS AS (
                    setweight(to_tsvector('simple', title), 'A')
                    || setweight(jsonb_to_tsvector('simple', labels, '["string"]'), 'B')
                    || setweight(jsonb_to_tsvector('simple', properties, '["string"]'), 'C')
                    || setweight(to_tsvector('simple', text), 'D')
                ) STORED;
                CREATE INDEX items_by_words ON inference_item USING gin (document);""",
            reverse_sql="ALTER TABLE inference_item DROP COLUMN document;",
        )
    ]
