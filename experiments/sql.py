"""Conditions that several statements share."""

from __future__ import annotations


def is_excluded(row: str) -> str:
    """SQL: whether the unit of a row is left out of analysis.

    OFFSET 0 keeps it a look-up by key for each row. As a join its plan would depend on statistics that
    do not know yet that a whole list was excluded a minute ago, and compare every row with every unit.

    Args:
        row: alias of a table or subquery with `unit_id`; the parameter `project` names the project.
    """
    return f"""EXISTS (SELECT 1 FROM experiments_excludedunit AS out
        WHERE out.project_id = %(project)s AND out.unit_id = {row}.unit_id OFFSET 0)"""
