"""What is said of an effect never contradicts itself, whatever the totals, the rule and the split."""

from __future__ import annotations

from tests.support.random_looks import KINDS, contradictions


def test_verdict_interval_and_p_value_agree():
    # Rule `exact` costs ten times the others. Full size: make bench ONLY=statistics.
    tally = contradictions(600, seed=5, exact=0.08)
    assert tally.wrong == []
    # The draws are worth their name: both answers are frequent, and nothing is always left out.
    assert tally.intervals > 0.5 * tally.comparisons
    assert 0.1 < tally.decided / tally.intervals < 0.9
    assert tally.lifts > 0.3 * tally.intervals
    assert len(KINDS) > len({kind for kind, _ in tally.by_kind}) >= 5
