"""What users of each variant of an experiment write about, compared with the control.

Counted are users, not texts: the share of a variant's exposed users who wrote about a theme.
Assignment is random and the themes are made without looking at variants, so a difference is an effect:
on what users think, or on whether they write at all. The interval is that of one fixed analysis; it
decides nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.models import current_themes
from experiments.sql import counts_now, is_excluded
from experiments.stats.effects import compare, critical_value
from experiments.stats.multiplicity import benjamini_hochberg
from experiments.stats.totals import StatisticsError, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Experiment, Theme, Variant

ALPHA = 0.05
MIN_EXPECTED = 5.0  # users in each variant if nothing differed: fewer are not tested (Cochran's rule)
# A user counts in the variant where it was exposed first, as in the totals of exposures.
_USERS = f"""
    SELECT member.theme_id, feedback.variant_id, count(DISTINCT feedback.unit_id)
    FROM experiments_themedtext AS member
    JOIN experiments_feedback AS feedback ON feedback.id = member.feedback_id
    CROSS JOIN LATERAL (SELECT variant_id FROM experiments_exposure AS own
        WHERE own.experiment_id = %(experiment)s AND own.unit_id = feedback.unit_id
        ORDER BY own.exposed_at, own.id LIMIT 1) AS first
    WHERE member.theme_id = ANY(%(themes)s) AND first.variant_id = feedback.variant_id
        AND {counts_now("feedback")} AND NOT {is_excluded("feedback")}
    GROUP BY 1, 2"""


@dataclass(frozen=True, slots=True)
class VariantTheme:
    """One theme in one treatment, against the control.

    Attributes:
        theme: key of its row.
        title: its name, or else its words.
        variant: key of the treatment.
        control_units: of the control's exposed users, who wrote about it.
        treatment_units: of the treatment's.
        control: share of the control's exposed users.
        treatment: share of the treatment's.
        difference: treatment − control; None where too few wrote about it to compare.
        interval: of the difference, 95 %, of one fixed analysis.
        adjusted_p_value: over all themes and treatments (Benjamini and Hochberg).
    """

    theme: int
    title: str
    variant: str
    control_units: int
    treatment_units: int
    control: float
    treatment: float
    difference: float | None = None
    interval: tuple[float | None, float | None] | None = None
    adjusted_p_value: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def compare_themes(experiment: Experiment, *, is_copy: bool = False) -> list[VariantTheme]:
    """Return the themes that users of the experiment wrote about, the most certain difference first.

    Empty where its surface has no themes, or nobody in the experiment wrote about one.

    Args:
        experiment: whose users.
        is_copy: whether it leaves the platform: then themes are called by their words, as a name made
            of quotes could not be taken back with them.
    """
    variants = list(experiment.variants.all())
    control = next((one for one in variants if one.is_control), None)
    themes = current_themes(experiment.surface)
    if control is None or not themes:
        return []
    if is_copy:
        for theme in themes:
            theme.name = ""
    exposed = _exposed(experiment)
    users = _users(experiment, themes)
    treatments = [one for one in variants if one != control and exposed[one.pk]]
    rows = [
        _row(theme, control, treatment, users[theme.pk], exposed)
        for theme in themes
        for treatment in treatments
        if exposed[control.pk] and users[theme.pk]
    ]
    adjusted = benjamini_hochberg([row.adjusted_p_value for row in rows])
    rows = [replace(row, adjusted_p_value=p) for row, p in zip(rows, adjusted, strict=True)]
    return sorted(rows, key=_certainty)


def _certainty(row: VariantTheme) -> tuple[float, int]:
    p = row.adjusted_p_value
    return (2.0 if p is None else p, -(row.control_units + row.treatment_units))


def _exposed(experiment: Experiment) -> defaultdict[int, int]:
    counts: defaultdict[int, int] = defaultdict(int)
    for total in experiment.exposure_totals.filter(segment=""):
        counts[total.variant_id] += max(total.units - total.crossover_units, 0)
    return counts


def _users(experiment: Experiment, themes: Sequence[Theme]) -> defaultdict[int, dict[int, int]]:
    counts: defaultdict[int, dict[int, int]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(
            _USERS,
            {
                "experiment": experiment.pk,
                "project": experiment.project_id,
                "themes": [theme.pk for theme in themes],
            },
        )
        for theme, variant, units in cursor.fetchall():
            counts[theme][variant] = units
    return counts


def _row(
    theme: Theme,
    control: Variant,
    treatment: Variant,
    users: Mapping[int, int],
    exposed: Mapping[int, int],
) -> VariantTheme:
    """Return a comparison whose p-value is not adjusted yet."""
    # Totals of exposures are some seconds behind the feedback; a share is at most 1.
    n_c, n_t = (max(exposed[one.pk], users.get(one.pk, 0)) for one in (control, treatment))
    x_c, x_t = users.get(control.pk, 0), users.get(treatment.pk, 0)
    row = VariantTheme(
        theme.pk, theme.title, treatment.key, x_c, x_t, x_c / max(n_c, 1), x_t / max(n_t, 1)
    )
    if (x_c + x_t) * min(n_c, n_t) / max(n_c + n_t, 1) < MIN_EXPECTED:
        return row
    try:
        effect = compare(
            "proportion", Totals.of_proportion(x_c, n_c), Totals.of_proportion(x_t, n_t), adjust=False
        )
    except StatisticsError:  # all users of both variants wrote about it: nothing to compare
        return row
    return replace(
        row,
        difference=effect.estimate,
        interval=effect.interval(critical_value(ALPHA)),
        adjusted_p_value=effect.p_value,
    )
