"""Parts that several statements share: conditions, and the products that totals are the sums of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The columns of an observation, by the letters of the statistics (stats/totals.py).
OBSERVED = {
    "y": "value",
    "d": "denominator",
    "x": "covariate",
    "w": "denominator_covariate",
    "u": "uncapped_value",
}
# Which of a unit's numbers are multiplied, by the name that the statistics give the sum.
_FACTORS = {
    "sum_y": "y", "sum_yy": "yy", "sum_d": "d", "sum_dd": "dd", "sum_yd": "yd",
    "sum_x": "x", "sum_xx": "xx", "sum_yx": "yx", "sum_w": "w", "sum_ww": "ww", "sum_yw": "yw",
    "sum_dx": "dx", "sum_dw": "dw", "sum_xw": "xw", "sum_u": "u", "sum_uu": "uu",
}  # fmt: skip


def _total_column(factors: str) -> str:
    first, *second = (OBSERVED[letter] for letter in factors)
    if not second:
        return f"sum_{first}"
    return f"sum_{first}_squared" if second == [first] else f"sum_{first}_times_{second[0]}"


# The columns of the table of totals, by the statistics' names.
TOTALED = {"nonzero": "nonzero"} | {name: _total_column(of) for name, of in _FACTORS.items()}


def observed(prefix: str = "") -> dict[str, str]:
    """Return SQL of an observation's numbers by their letters.

    Args:
        prefix: what stands before each column: an alias with its dot, or the start of its name.
    """
    return {letter: prefix + column for letter, column in OBSERVED.items()}


def products(of: Mapping[str, str], *, count: str = "int") -> dict[str, str]:
    """Return SQL of what one unit adds to each total, by the statistics' names.

    Args:
        of: SQL of the unit's numbers by their letters, as `observed` gives them.
        count: type of a count; the engine of files sums floating-point numbers alone.
    """
    terms = {name: " * ".join(of[letter] for letter in factors) for name, factors in _FACTORS.items()}
    return {"nonzero": f"({of['y']} <> 0)::{count}"} | terms


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
