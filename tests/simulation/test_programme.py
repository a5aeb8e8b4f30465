"""A simulated year: its world, and that the product's own code decides in it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from experiments.models.programme import Programme as StoredProgramme
from experiments.models.programme import default_ramp
from experiments.programme.harm import TESTS, harm_class_of, required_users
from experiments.simulation.lifecycle import (
    COOLDOWN_DAYS,
    RAMP_SHARES,
    Looks,
    pass_day,
    policy_of,
    run_test,
)
from experiments.simulation.programme_table import PROGRAMMES, Programme, simulate_programmes
from experiments.simulation.rivals import run_oracle, run_publishing
from experiments.simulation.settings import YearSettings
from experiments.simulation.traffic import ArmTraffic
from experiments.simulation.year import MIN_LOG, Challenger, Year
from experiments.stats.breaker import ArmCounts, ArmPaths, log_e_events, log_e_paths
from experiments.stats.look import take_look
from experiments.stats.rules import RuleState
from tests.support.looks import look_input

OURS = [one for one in PROGRAMMES if one.rule in {"significant", "valuable"}]
RUNS = 6
FEW = YearSettings(weeks=26, share_broken=0.2)


ROOT = Path(__file__).parents[2]


def year_of(*challengers: Challenger, seed: int = 1, **settings) -> Year:
    return Year(YearSettings(**settings), challengers, np.random.default_rng(seed))


def simulate(programmes=PROGRAMMES, *, settings=FEW, runs=RUNS, seed=3, advance=lambda _: None):
    rows = simulate_programmes(settings, programmes, runs=runs, seed=seed, advance=advance)
    return {Programme(row.rule, row.interleaving is not None): row for row in rows}


@pytest.fixture(scope="module")
def rows():
    return simulate()


def test_the_life_cycle_is_that_of_a_programme_nobody_changed():
    assert [step["share"] for step in default_ramp()] == list(RAMP_SHARES)
    assert StoredProgramme._meta.get_field("cooldown_days").default == COOLDOWN_DAYS


def test_a_broken_challenger_never_ships_under_ours(rows):
    assert [rows[one].broken_promotions.value for one in OURS] == [0] * len(OURS)
    assert rows[Programme("publish")].broken_promotions.value > 0


def test_the_oracle_beats_all(rows):
    share = {one.rule: row.share_of_oracle for one, row in rows.items()}
    assert (share["oracle"].value, share["oracle"].error) == (1, 0)
    assert all(one.value < 1 for rule, one in share.items() if rule != "oracle")


def test_rivals_stand_in_their_order(rows):
    share = {one: row.share_of_oracle.value for one, row in rows.items()}
    harmed = {one: row.broken_user_days.value for one, row in rows.items()}
    publish, fixed = Programme("publish"), Programme("fixed")
    for ours in OURS:
        assert harmed[ours] < harmed[fixed] / 4 < harmed[publish]
    worse = {one: row.worse_user_days.value for one, row in rows.items()}
    for rule in ("significant", "valuable"):
        screened = Programme(rule, interleaving=True)
        assert share[screened] > share[Programme(rule)]
        assert worse[screened] < worse[Programme(rule)] < worse[publish]
        assert rows[screened].screened.value > rows[screened].tests.value > 0
        assert rows[Programme(rule)].screened.value == 0
    assert share[Programme("valuable", interleaving=True)] > share[fixed] > share[publish]
    assert rows[publish].harmful_promotions.value > 2 * rows[OURS[-1]].harmful_promotions.value


def test_one_seed_is_one_table_whatever_is_compared(rows):
    some = [Programme("valuable", interleaving=True)]
    steps = []
    again = simulate(some, advance=steps.append)
    assert again == {one: rows[one] for one in (*some, Programme("oracle"))}
    assert len(steps) == 2 * RUNS
    assert simulate(some, seed=4) != again


def test_lifts_add_up_or_are_draws_around_one_recipe():
    first, second = Challenger(0, 0, 0.1), Challenger(1, 7, 0.04)
    adding, retrained = (year_of(first, second, retrains=flag) for flag in (False, True))
    for year in (adding, retrained):
        year.promote(first)
    assert (adding.lift(second), retrained.lift(second)) == pytest.approx((0.04, -0.06))
    assert year_of(first, second, retrains=True).lift(second) == pytest.approx(0.04)


def test_champions_age_and_fresher_challengers_gain_by_it():
    fresh = Challenger(0, 28, 0.0)
    year = year_of(fresh, ageing=0.005)
    year.day = 35
    assert year.level() == pytest.approx(-0.025)
    assert year.rate() == pytest.approx(0.1 * math.exp(-0.025))
    assert year.lift(fresh) == pytest.approx(0.02)
    year.promote(fresh)
    assert year.level() == pytest.approx(-0.005)


def test_a_published_broken_version_serves_a_week_and_leaves():
    broken = Challenger(0, 0, 0.0, loss=-5.0)
    year = year_of(broken, weeks=10)
    run_publishing(year)
    record = year.end()
    assert (record.promotions, record.harmful, record.broken_promotions) == (1, 1, 1)
    assert record.broken_user_days == pytest.approx(20_000)
    assert record.final == 0
    last = year_of(Challenger(0, 66, 0.0, loss=-5.0), weeks=10)
    run_publishing(last)
    assert last.end().final == MIN_LOG  # nobody has taken it back yet
    assert last.record.broken_user_days == pytest.approx(20_000 * 4 / 7)


def test_the_oracle_takes_what_is_better():
    year = year_of(Challenger(0, 0, 0.1), Challenger(1, 7, -0.1), Challenger(2, 14, 0.05))
    run_oracle(year)
    assert year.end().final == pytest.approx(0.15)
    assert year.record.promotions == 2


def test_a_broken_challenger_is_stopped_at_the_first_step():
    broken = Challenger(0, 0, 0.0, loss=math.log(0.1))
    year = year_of(broken, weeks=20)
    assert not run_test(year, broken, policy_of(year.settings, "valuable")).ships
    assert year.day < 10
    assert 0 < year.record.broken_user_days < 1_000
    assert year.record.worse_user_days == year.record.broken_user_days


def test_users_of_a_worse_challenger_are_counted_and_those_of_a_better_are_not():
    worse, better = Challenger(0, 0, -0.05), Challenger(1, 0, 0.05)
    year = year_of(worse, better)
    year.serve(worse, share=0.5, days=2)
    year.serve(better, share=0.5, days=2)
    assert year.record.worse_user_days == pytest.approx(20_000 / 7)
    assert year.record.broken_user_days == 0


def test_users_of_a_champion_that_is_worse_than_one_before_are_counted():
    better, worse, between = Challenger(0, 0, 0.1), Challenger(1, 7, -0.05), Challenger(2, 14, 0.02)
    year = year_of(better, worse, between, weeks=10)
    year.promote(better)
    year.day = 7
    year.promote(worse)
    year.day = 21
    year.serve(between, share=0.5, days=7)  # better than the champion, worse than the one before
    year.serve(Challenger(3, 14, 0.06), share=0.5, days=1)  # better than both: these see no worse one
    assert year.end().worse_user_days == pytest.approx(20_000 / 7 * (63 - 0.5))


def test_publishing_serves_worse_versions_to_all():
    year = year_of(Challenger(0, 7, -0.01), Challenger(1, 14, 0.02), weeks=4)
    run_publishing(year)
    assert year.end().worse_user_days == pytest.approx(20_000)


def test_a_ramp_is_left_when_its_class_of_harm_would_have_shown():
    for daily, days in ((True, 7), (False, 11)):
        better = Challenger(0, 0, 0.05)
        year = year_of(better, daily_ramp=daily, valuable_weeks=1.0)
        end = run_test(year, better, policy_of(year.settings, "valuable"))
        assert end.ships
        assert end.effect.mean == pytest.approx(0.05, abs=4 * end.effect.sd)
        assert year.day == pytest.approx(days, abs=1)
    assert required_users(harm_class_of(0.1), alpha=0.001, tests=TESTS) > 0.1 * 20_000 / 7


def test_looks_that_are_left_out_would_have_said_nothing():
    """Every look taken, one after the other, against those that are taken only where they may end it."""
    for seed in range(6):
        challenger = Challenger(0, 0, (seed - 2) * 0.04)
        year = year_of(challenger, seed=seed, significant_weeks=2.0)
        policy = policy_of(year.settings, "significant")
        traffic, looks = ArmTraffic(year, challenger), Looks(policy)
        state, crossed, action = RuleState(), (), "keep_running"
        while action == "keep_running":
            pass_day(year, challenger, traffic, share=0.5)
            inputs = look_input(
                traffic.metric(), policy=policy, elapsed_seconds=year.day * 86_400.0,
                states={"treatment": state}, crossed=crossed,
            )  # fmt: skip
            every = take_look(inputs)
            few = looks.take(traffic, days=year.day)
            state, crossed, action = every.states["treatment"], every.crossed, every.action
            assert (few.action if few else "keep_running") == action
            assert few is None or few.states == every.states
        assert traffic.units <= 40_000 + 2_857


def test_the_breaker_over_many_hours_is_that_of_each_hour():
    treatment, control = np.array([0, 3, 9]), np.array([4, 20, 60])
    past = ArmCounts(1, 0.2, 5, 30)
    paths = [
        ArmPaths(0.2, np.full(3, 5), np.full(3, 30)),
        ArmPaths(0.5, treatment, control),
    ]
    together = log_e_paths(paths, margin=0.2, harm="decrease")
    each = [
        log_e_events([past, ArmCounts(2, 0.5, int(t), int(c))], margin=0.2, harm="decrease")
        for t, c in zip(treatment, control, strict=True)
    ]
    assert together.tolist() == pytest.approx(each)


def test_the_readme_shows_rows_of_the_documented_table():
    mark = "<!-- made by make bench ONLY=programme -->"
    page = (ROOT / "docs" / "statistics" / "programme.md").read_text().split(mark)[1]
    rows = (ROOT / "README.md").read_text().split(mark)[1].strip().splitlines()
    assert len(rows) == 9
    known = {line.replace(", a day per step of the ramp", "") for line in page.splitlines()}
    assert [row for row in rows if row.replace(", a day per step of the ramp", "") not in known] == []
