"""What is in a database that was just made, in a form in which two ways of making it can be compared."""

from __future__ import annotations

import re

import psycopg

# Of PostgreSQL's catalogue, and so beside what `pg_dump` makes of it.
_OURS = "relnamespace = 'public'::regnamespace"
_CATALOGUE = {
    "relations": f"""SELECT relname, relkind, relispartition, relreplident, reloptions,
            pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid) FROM pg_class WHERE {_OURS}""",
    "columns": f"""SELECT relname, row_number() OVER (PARTITION BY c.oid ORDER BY attnum), attname,
            format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attstorage,
            nullif(attstattarget, -1), attcollation::regcollation::text, pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {_OURS} AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')""",
    "constraints": f"""SELECT relname, conname, contype, condeferrable, condeferred, convalidated,
            pg_get_constraintdef(k.oid), conindid::regclass::text
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = conrelid WHERE {_OURS}""",
    "indexes": f"""SELECT relname, indisunique, indisprimary, indisvalid, indisready, indisreplident,
            pg_get_indexdef(c.oid), inhparent::regclass::text
        FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
        LEFT JOIN pg_inherits ON inhrelid = c.oid WHERE {_OURS}""",
    "sequences": f"""SELECT c.relname, format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax,
            seqcycle, refobjid::regclass::text, refobjsubid > 0, d.deptype
        FROM pg_sequence JOIN pg_class AS c ON c.oid = seqrelid
        LEFT JOIN pg_depend AS d ON d.objid = c.oid AND refclassid = 'pg_class'::regclass
        WHERE {_OURS}""",
    "triggers": f"""SELECT relname, pg_get_triggerdef(t.oid) FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = tgrelid WHERE {_OURS} AND NOT tgisinternal""",
    "functions": """SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace""",
    "types": """SELECT typname, typtype FROM pg_type WHERE typnamespace = 'public'::regnamespace""",
    "comments": "SELECT classoid::regclass::text, description FROM pg_description WHERE objoid >= 16384",
    "extensions": "SELECT extname FROM pg_extension",
    "statistics": "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "policies": "SELECT tablename, policyname FROM pg_policies",
}
# `a AND (b AND c)` and the casts of a list are written otherwise once PostgreSQL has read its own words, as
# after each restore of a backup.
_REWRITTEN = re.compile(r"[()]|::(text|character varying)(\[\])?")
# Ids may differ: rows that are made by what is installed, not by a migration, come in the order of names.
_SEEDED = {
    "migrations": "SELECT app, name FROM django_migrations",
    "content types": "SELECT app_label, model FROM django_content_type",
    "permissions": """SELECT app_label, model, codename, name FROM auth_permission AS p
        JOIN django_content_type AS t ON t.id = content_type_id""",
    "clock": "SELECT * FROM experiments_transactionclock",
}


def plain(text: str) -> str:
    """Return a definition without what a restored one has in another place."""
    return _REWRITTEN.sub("", text)


def catalogue(url: str) -> dict[str, list[str]]:
    """Return what a database's tables are, each part sorted."""
    with psycopg.connect(url) as connection:
        return {name: _rows(connection, query) for name, query in _CATALOGUE.items()}


def _rows(connection: psycopg.Connection, query: str) -> list[str]:
    return sorted(plain(str(row)) for row in connection.execute(query).fetchall())


def schema_contents(url: str) -> dict[str, list[str]]:
    """Return a database's catalogue, seeded rows, numbers of rows and used sequences, each sorted."""
    contents = catalogue(url)
    with psycopg.connect(url) as connection:

        def rows(query: str) -> list[str]:
            return _rows(connection, query)

        contents |= {name: rows(query) for name, query in _SEEDED.items()}
        tables = connection.execute(
            f"SELECT relname FROM pg_class WHERE relkind = 'r' AND {_OURS} ORDER BY 1"
        )
        contents["numbers of rows"] = [
            f"{table} {rows(f'SELECT count(*) FROM {table}')}" for (table,) in tables.fetchall()
        ]
        contents["used sequences"] = rows(
            f"""SELECT sequencename, last_value FROM pg_sequences JOIN pg_class ON relname = sequencename
            WHERE {_OURS}"""
        )
    return contents
