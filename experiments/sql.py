"""Conditions that several statements share."""

from __future__ import annotations


def is_excluded(row: str, *, by_upper: bool = False) -> str:
    """SQL: whether the unit of a row is left out of analysis.

    OFFSET 0 keeps it a look-up by key for each row. As a join its plan would depend on statistics that
    do not know yet that a whole list was excluded a minute ago, and compare every row with every unit.

    Args:
        row: alias of a table or subquery with `unit_id`; the parameter `project` names the project.
        by_upper: whether only exclusions of transactions below the parameter `upper` count, as in a
            roll-up. `IS TRUE` keeps the look-up off the index of transaction ids.
    """
    span = " AND (out.xid < %(upper)s::text::xid8) IS TRUE" if by_upper else ""
    return f"""EXISTS (SELECT 1 FROM experiments_excludedunit AS out
        WHERE out.project_id = %(project)s AND out.unit_id = {row}.unit_id{span} OFFSET 0)"""
