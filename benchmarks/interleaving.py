"""Interleaving: users beside an A/B, errors without a preference, latency beside a plain recommend."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.interleaved_slates import Slates, deal_sides, draft_slates, unit_scores
from benchmarks.interleaving_null import (
    TRUE_DECAY,
    decide_by_fitted_curve,
    decide_dealt,
    decide_pairs,
    decide_returning,
)
from benchmarks.interleaving_pairs import K, World, draw_sessions, read_world
from benchmarks.interleaving_signs import sign_rows
from benchmarks.results import Row, median_of, write_between_marks, write_result

PAGE = Path(__file__).parent.parent / "docs" / "statistics" / "interleaving.md"
MARK = "<!-- made by make bench ONLY=interleaving -->"
Z_ALPHA, Z_POWER = 1.959964, 0.841621
RELIABLE, CLOSE = 0.02, 0.1  # |lift|: the sign can be trusted; a pair is close below
UNLIKE = ("knn 100", "ease")
# Two versions and the control of one list.
TRIPLES = (
    ("knn 20", "ease of half", "ease"),
    ("knn 5", "popular", "ease"),
    ("ease λ 1000", "ease shuffled 10%", "knn 100"),
)


@dataclass(frozen=True)
class Pair:
    """Users that tell two rankers apart, two-sided .05 and power .8, in both arms of an A/B."""

    names: tuple[str, str]
    lift: float
    ab: float
    cuped: float
    score: float
    sign: float
    sign_agrees: bool
    score_agrees: bool

    @property
    def times(self) -> float:
        return self.ab / self.score


def run(size: str, home: str) -> None:
    full = size == "full"
    rng = np.random.default_rng(21)
    world = read_world(Path(home), users=None if full else 200)
    names = (
        world.pairs
        if full
        else [("popular", "ease"), ("ease", "ease shuffled 30%"), ("knn 20", "knn 5")]
    )
    units, drafts = (150_000, 4) if full else (10_000, 2)
    pairs = [
        _pair(world, pair, draft_slates(world, pair, drafts=drafts), rng, units=units) for pair in names
    ]
    known = [one for one in pairs if abs(one.lift) >= RELIABLE]
    close = [one for one in known if abs(one.lift) < CLOSE] or known
    unreliable = [one for one in pairs if abs(one.lift) < RELIABLE]
    unlike = draft_slates(world, UNLIKE, drafts=drafts)
    aa = decide_pairs(unlike, rng, runs=2_000 if full else 60)
    rows = [
        Row(f"users of an A/B over users of interleaving, median of {len(known)} pairs with a lift of 2 % or more", _median([one.times for one in known]), "times", target="ours >= 9.6", spread=_other_pairs([one.times for one in known])),
        Row(f"the same, {len(close)} pairs with a lift of 2 to 10 %", _median([one.times for one in close]), "times", target="ours >= 20", spread=_other_pairs([one.times for one in close])),
        Row("users of an A/B with CUPED at its best over users of interleaving, lift of 2 % or more", _median([one.cuped / one.score for one in known]), "times"),
        Row("the same, lift of 2 to 10 %", _median([one.cuped / one.score for one in close]), "times"),
        Row("sign of the score agrees with the A/B, lift of 2 % or more", float(np.mean([one.score_agrees for one in known])), "share", target="ours >= 0.9"),
        Row("sign of the team credit agrees with the A/B, lift of 2 % or more", float(np.mean([one.sign_agrees for one in known])), "share", target="ours >= 0.9"),
    ]  # fmt: skip
    if unreliable:
        rows.append(Row(f"sign of the score agrees with the A/B, {len(unreliable)} pairs with a lift below 2 %", float(np.mean([one.score_agrees for one in unreliable])), "share"))  # fmt: skip
    rows += aa.rows("no preference, 100 looks")
    # With sources of their own: the rows above stay what they were.
    rows += null_rows(world, unlike, np.random.default_rng(22), runs=1_000 if full else 30)
    three = _users_of_three(world, np.random.default_rng(23), drafts=drafts, units=units)
    rows.append(Row(f"users of a list of three versions over those of a list of two, median of {len(three)} comparisons", _median(three), "times", spread=f"{min(three):.2f} to {max(three):.2f}", higher_is_better=False))  # fmt: skip
    sizes = [(100_000, 20), (1_000_000, 2)] if full else [(20_000, 2)]
    rows += sign_rows(world, names, np.random.default_rng(24), drafts=drafts, sizes=sizes)
    rows += _latency(home, full=full)
    write_result("interleaving", size, rows, f"MovieLens-100k, {len(pairs)} pairs of rankers.")
    if full:
        write_between_marks(PAGE, MARK, _table(pairs))


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _other_pairs(values: list[float]) -> str:
    """Say in what range nine of ten medians lie if the pairs are drawn again (bootstrap)."""
    again = np.random.default_rng(26).choice(values, (10_000, len(values)))
    low, high = np.quantile(np.median(again, axis=1), [0.05, 0.95])
    return f"pairs drawn again: {low:.1f} to {high:.1f}, nine of ten"


def _pair(
    world: World, names: tuple[str, str], slates: Slates, rng: np.random.Generator, *, units: int
) -> Pair:
    rates = [world.click_rates(world.rankings[name]) for name in names]
    clicks = [one.sum(axis=1).mean() for one in rates]
    sessions = draw_sessions(200_000, rng)
    mean, square = sessions.mean(), (sessions**2.0).mean()
    plain = adjusted = 0.0
    for one in rates:
        per_session, within = one.sum(axis=1), (one * (1 - one)).sum(axis=1).mean()
        plain += mean * within + square * (per_session**2).mean() - (mean * per_session.mean()) ** 2
        adjusted += mean * within + square * per_session.var()  # activity is known before
    difference = mean * (clicks[0] - clicks[1])
    factor = 2 * (Z_ALPHA + Z_POWER) ** 2 / difference**2
    unit = unit_scores(slates, units, rng)[:, 0]
    score, team = unit[:, 0], unit[:, 1]
    wins, losses = (team > 0).mean(), (team < 0).mean()
    share = wins / (wins + losses) if wins + losses else 0.5
    sign = math.inf
    if share != 0.5:
        spread = Z_ALPHA * 0.5 + Z_POWER * math.sqrt(share * (1 - share))
        sign = (spread / (share - 0.5)) ** 2 / (wins + losses)
    return Pair(
        names=names,
        lift=clicks[0] / clicks[1] - 1,
        ab=plain * factor,
        cuped=adjusted * factor,
        score=(Z_ALPHA + Z_POWER) ** 2 * score.var() / score.mean() ** 2,
        sign=sign,
        sign_agrees=(share - 0.5) * difference > 0,
        score_agrees=score.mean() * difference > 0,
    )


def null_rows(world: World, pair: Slates, rng: np.random.Generator, *, runs: int) -> list[Row]:
    """Return how often looks decide without a preference: three versions, a fitted curve, returning users."""
    three = draft_slates(
        deal_sides(world, (*UNLIKE, "knn 5")), ("side 1", "side 2", "side 0"), drafts=1
    )
    fitted = decide_by_fitted_curve(pair, rng, runs=runs)
    what = f"no preference, curve fitted to the swaps (true η {TRUE_DECAY}, fitted {fitted.decay:.2f})"
    return [
        *decide_dealt(three, rng, runs=runs).rows("no preference, three versions, 100 looks"),
        *fitted.rows(f"{what}, 100 looks"),
        # The signs of sums are not held to it: whoever leaves after a click ends on that side.
        decide_returning(np.random.default_rng(25), runs=runs).rows(
            "no preference, users come back more after clicks of one side, 100 looks"
        )[0],
    ]


def _users_of_three(world: World, rng: np.random.Generator, *, drafts: int, units: int) -> list[float]:
    """Return how many users a version needs in a list of three versions, over those in one of two."""
    times = []
    for first, second, control in TRIPLES:
        three = unit_scores(draft_slates(world, (first, second, control), drafts=drafts), units, rng)
        for n, name in enumerate((first, second)):
            two = unit_scores(draft_slates(world, (name, control), drafts=drafts), units, rng)
            needed = [one.var() / one.mean() ** 2 for one in (three[:, n, 0], two[:, 0, 0])]
            times.append(float(needed[0] / needed[1]))
    return times


def _latency(home: str, *, full: bool) -> list[Row]:
    """Return the median answer of an interleaved surface beside a plain one, one connection each."""
    from benchmarks.load import measure, request_bytes
    from benchmarks.stage import UNITS, body, staged

    seconds, repeats = (5.0, 5) if full else (1.0, 2)
    with staged(home, peer=False) as stage:
        numbers = itertools.count()

        def asks(key: str):
            ready = [
                request_bytes(
                    "POST", "/v1/recommend",
                    body({"surface": key, "unit_id": f"user-{n}", "k": K}), stage.public,
                )
                for n in range(UNITS)
            ]  # fmt: skip
            return lambda: ready[next(numbers) % UNITS]

        shared, plain = asks(stage.shared_surface), asks(stage.plain_surface)
        ours, peer = [], []
        for _ in range(repeats):  # in turn, so that what else happens on the machine hits both alike
            ours.append(measure(stage.port, shared, connections=1, seconds=seconds).p50_ms)
            peer.append(measure(stage.port, plain, connections=1, seconds=seconds).p50_ms)
    (own, spread), beside = median_of(ours), median_of(peer)[0]
    return [
        Row("interleaved recommend, median at 1 connection (peer: plain, same run)", own, "ms", beside,
            target="ratio_to_peer >= 0.769", higher_is_better=False, spread=spread),
    ]  # fmt: skip


def _table(pairs: list[Pair]) -> list[str]:
    lines = [
        "| pair | lift | A/B | A/B with CUPED | score | team sign | A/B over score |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.names[0]} against {one.names[1]} | {one.lift:+.1%} | {one.ab:,.0f} | {one.cuped:,.0f} | "
        f"{one.score:,.0f} | {one.sign:,.0f} | {one.times:.1f} × |"
        for one in sorted(pairs, key=lambda one: -abs(one.lift))
    ]
    return lines
