"""Parts that several statements share: conditions, and the products that totals are the sums of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

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


def is_new(row: str = "") -> str:
    """SQL: whether a roll-up has not seen a row: its transaction is in [`lower`, `upper`).

    Args:
        row: alias of a table with `xid`; nothing where there is but one.
    """
    xid = f"{row}.xid" if row else "xid"
    return f"{xid} >= %(lower)s::text::xid8 AND {xid} < %(upper)s::text::xid8"


def is_before(row: str, bound: str) -> str:
    """SQL: whether a row's transaction is below a parameter, `lower` or `upper`.

    IS TRUE keeps a look-up by unit off the index of transaction ids: on a young table the planner
    could not tell which of the two indexes reads less.
    """
    return f"({row}.xid < %({bound})s::text::xid8) IS TRUE"


def folded_label(label: str) -> str:
    """SQL: what spellings of a label have in common, as `inference.serving.folded_labels` says it."""
    return rf"lower(regexp_replace(btrim({label}), '\s+', ' ', 'g'))"


def counts_now(row: str, *, later: str = "") -> str:
    """SQL: whether a row of feedback counts: a unit's last word, neither taken back nor hidden.

    `Feedback.objects.counted()` says the same to Django.

    Args:
        row: alias of `experiments_feedback`.
        later: further conditions on what supersedes it, each with its AND, of the alias `later`.
    """
    return f"""(NOT {row}.withdrawn AND {row}.state NOT IN ('hidden', 'spam') AND NOT EXISTS (
        SELECT 1 FROM experiments_feedback AS later
        WHERE later.project_id = {row}.project_id AND later.unit_id = {row}.unit_id
            AND later.recommendation_id = {row}.recommendation_id
            AND later.item_id = {row}.item_id AND later.kind = {row}.kind
            AND (later.received_at, later.id) > ({row}.received_at, {row}.id){later} OFFSET 0))"""


def free_text(row: str) -> str:
    """SQL: what a user wrote, redacted: a comment, or the answer to a survey's question.

    Args:
        row: alias of `experiments_feedback`, whose `has_free_text` holds.
    """
    return f"CASE WHEN {row}.kind = 'text' THEN {row}.text ELSE {row}.answer END"


def has_free_text(row: str) -> str:
    """SQL: whether a user wrote something there.

    In these words, so that the index `written_by_users` has the rows.

    Args:
        row: alias of `experiments_feedback`.
    """
    return f"({row}.kind = 'text' AND {row}.text <> '' OR {row}.answer <> '')"


# The reward of the decision `slate`: the whole one, else the sum of its parts, NULL without either. By
# unit, since events have that index; a reward that a page sent yields to a server's, where both came at
# the same moment, and parts to a whole. The order gives the same parts the same sum to the bit.
REWARD_OF_DECISION = """SELECT coalesce(
            (array_agg(one.value ORDER BY one.trusted DESC, one.received_at)
                FILTER (WHERE NOT one.properties ? 'part'))[1],
            sum(one.value ORDER BY one.event_id)) AS value
        FROM experiments_event AS one
        WHERE one.project_id = slate.project_id AND one.unit_id = slate.unit_id
            AND one.occurred_at >= slate.served_at AND one.source = 'reward'
            AND one.recommendation_id = slate.recommendation_id"""


def min_uuid7(at: datetime) -> UUID:
    """Return the UUID below every UUIDv7 that is made from a time on: it begins with the time."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def time_of_uuid7(one: UUID) -> datetime:
    """Return when a UUIDv7 was made, in UTC."""
    return datetime.fromtimestamp((one.int >> 80) / 1000, UTC)


def is_excluded(row: str, *, by_upper: bool = False) -> str:
    """SQL: whether the unit of a row is left out of analysis.

    OFFSET 0 keeps it a look-up by key for each row. As a join its plan would depend on statistics that
    do not know yet that a whole list was excluded a minute ago, and compare every row with every unit.

    Args:
        row: alias of a table or subquery with `unit_id`; the parameter `project` names the project.
        by_upper: whether only exclusions of transactions below the parameter `upper` count, as in a
            roll-up.
    """
    span = f" AND {is_before('out', 'upper')}" if by_upper else ""
    return f"""EXISTS (SELECT 1 FROM experiments_excludedunit AS out
        WHERE out.project_id = %(project)s AND out.unit_id = {row}.unit_id{span} OFFSET 0)"""


def answer_draw(generation_id: str) -> str:
    """SQL: an answer's random number in [0, 1): 53 bits of a hash of its id, and of nothing else.

    One number decides for judge and people alike: whoever is drawn for the smaller share is drawn for
    the larger one too.

    Args:
        generation_id: SQL of the id, a UUID.
    """
    digest = f"sha256(convert_to('judge:' || {generation_id}::text, 'UTF8'))"
    bits = f"('x' || substr(encode({digest}, 'hex'), 1, 14))::bit(56)::bigint >> 3"
    return f"(({bits})::float8 / {2**53})"


def has_answer(slate: str) -> str:
    """SQL: whether a generation's text was stored, so that it can be judged.

    Args:
        slate: alias of `experiments_slate`.
    """
    return f"(coalesce({slate}.context #>> '{{answer,content}}', '') <> '')"
