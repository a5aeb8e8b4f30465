"""All tables at once, for a database that has none: what the migrations up to a point would have made.

Guarantees: a database with any table of ours is left alone; one without gets everything or nothing, in
one transaction. Migrations that are newer than the snapshot are applied on top, as in any database, so
it need not be renewed with each of them. `python -m tests.support.schema_snapshot` writes it; tests
hold it to the migrations (decision 0081).
"""

from __future__ import annotations

import re
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("schema.sql")
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
# As Django looks for its own table: wherever the search path leads.
_EXISTING = "SELECT count(*) FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NOT NULL"


def load_snapshot() -> bool:
    """Make the snapshot's tables and rows in Django's database, unless one of the tables is there.

    Returns:
        Whether it made them.
    """
    from django.db import connection, transaction  # noqa: PLC0415  a second start does not need it

    script = SNAPSHOT.read_text(encoding="utf-8")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_EXISTING, [_TABLE.findall(script)])
        if cursor.fetchone()[0]:
            return False
        cursor.execute(script)
    return True
