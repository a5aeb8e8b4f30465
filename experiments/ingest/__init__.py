"""How facts enter PostgreSQL: rows, one statement per commit, bulk loads. No Django."""
