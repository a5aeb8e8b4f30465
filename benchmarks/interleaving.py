"""Interleaving: users beside an A/B, errors without a preference, latency beside a plain recommend."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleaving_pairs import DECAY, MAX_SESSIONS, K, World, draw_sessions, read_world
from benchmarks.results import Row, median_of, write_between_marks, write_result
from experiments.stats.interleaved_credit import DraftedSlate, credit_of
from experiments.stats.interleaving import BINS, BOTH_SIDES, MAX_SCORE
from experiments.stats.preference import log_e_sign
from inference.serving.team_draft import draft_slate

PAGE = Path(__file__).parent.parent / "docs" / "statistics" / "interleaving.md"
MARK = "<!-- made by make bench ONLY=interleaving -->"
Z_ALPHA, Z_POWER = 1.959964, 0.841621
ALPHA, LOOKS = 0.05, 100
RELIABLE, CLOSE = 0.02, 0.1  # |lift|: the sign can be trusted; a pair is close below


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
    pairs = [_pair(world, pair, _draft(world, pair, drafts=drafts), rng, units=units) for pair in names]
    known = [one for one in pairs if abs(one.lift) >= RELIABLE]
    close = [one for one in known if abs(one.lift) < CLOSE] or known
    unlike = _draft(world, ("knn 100", "ease"), drafts=drafts)
    aa = _without_preference(unlike, rng, runs=2_000 if full else 60)
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / aa.runs)
    rows = [
        Row(f"users of an A/B over users of interleaving, median of {len(known)} pairs with a lift of 2 % or more", _median([one.times for one in known]), "times", target="ours >= 9.6"),
        Row(f"the same, {len(close)} pairs with a lift of 2 to 10 %", _median([one.times for one in close]), "times", target="ours >= 20"),
        Row("users of an A/B with CUPED at its best over users of interleaving, lift of 2 % or more", _median([one.cuped / one.score for one in known]), "times"),
        Row("the same, lift of 2 to 10 %", _median([one.cuped / one.score for one in close]), "times"),
        Row("sign of the score agrees with the A/B, lift of 2 % or more", float(np.mean([one.score_agrees for one in known])), "share", target="ours >= 0.9"),
        Row("sign of the team credit agrees with the A/B, lift of 2 % or more", float(np.mean([one.sign_agrees for one in known])), "share", target="ours >= 0.9"),
        Row("no preference, 100 looks: the bet decides", aa.bet, "share", target=f"ours <= {allowed:.4f}", higher_is_better=False, spread=f"{aa.runs} runs"),
        Row("no preference, 100 looks: the mixture of signs decides", aa.mixture, "share", target=f"ours <= {allowed:.4f}", higher_is_better=False, spread=f"{aa.runs} runs"),
        Row("no preference, 100 looks: a fixed sign test that is read at each", aa.peeked, "share", higher_is_better=False),
    ]  # fmt: skip
    rows += _latency(home, full=full)
    write_result("interleaving", size, rows, f"MovieLens-100k, {len(pairs)} pairs of rankers.")
    if full:
        write_between_marks(PAGE, MARK, _table(pairs))


def _median(values: list[float]) -> float:
    return float(np.median(values))


@dataclass(frozen=True)
class Slates:
    """Drafted slates of every user: chance of a click, score and team credit of each place."""

    rates: NDArray[np.float64]  # (users, drafts, K)
    scores: NDArray[np.float64]
    teams: NDArray[np.int64]


def _draft(world: World, pair: tuple[str, str], *, drafts: int) -> Slates:
    """Draft by the product's own coins and credit, the second ranker as the control."""
    coins = random.Random(3)
    version, control = (world.rankings[name] for name in pair)
    shape = (len(control), drafts, K)
    shown, scores, teams = np.zeros(shape, int), np.zeros(shape), np.zeros(shape, int)
    for user in range(len(control)):
        rankings = [[str(item) for item in lists[user]] for lists in (control, version)]
        for n in range(drafts):
            draft = draft_slate(rankings, K, rng=coins)
            slate = DraftedSlate(
                tuple(pick.team for pick in draft.picks),
                tuple(pick.ranks for pick in draft.picks),
                draft.rest,
            )
            shown[user, n] = [int(pick.item_id) for pick in draft.picks]
            for place in range(K):
                (credit,) = credit_of(slate, [place], decay=DECAY)
                scores[user, n, place], teams[user, n, place] = credit.score, credit.team
    rates = world.click_rates(shown.reshape(len(control), -1), places=K)
    return Slates(rates.reshape(shape), scores, teams)


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
    unit = _unit_scores(slates, units, rng)
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


def _unit_scores(slates: Slates, units: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return bounded score and team credit of units, each with the clicks of all its sessions."""
    users, drafts, _ = slates.rates.shape
    who, sessions = rng.integers(0, users, units), draw_sessions(units, rng)
    total = np.zeros((units, 2))
    for session in range(MAX_SESSIONS):
        on = np.flatnonzero(sessions > session)
        place = who[on], rng.integers(0, drafts, len(on))
        clicks = rng.random((len(on), K)) < slates.rates[place]
        total[on, 0] += (clicks * slates.scores[place]).sum(axis=1)
        total[on, 1] += (clicks * slates.teams[place]).sum(axis=1)
    total[:, 0] = np.clip(total[:, 0], -MAX_SCORE, MAX_SCORE)
    total[np.abs(total) < 1e-9] = 0
    return total


@dataclass(frozen=True)
class WithoutPreference:
    bet: float
    mixture: float
    peeked: float
    runs: int


def _without_preference(slates: Slates, rng: np.random.Generator, *, runs: int) -> WithoutPreference:
    """Swap the sides of each unit by a coin: no preference, users as unlike as they are."""
    units = 4_000
    at = np.unique(np.linspace(units / LOOKS, units, LOOKS).astype(int))
    bet = mixture = peeked = 0
    bound = math.log(1 / ALPHA)
    for _ in range(runs):
        unit = _unit_scores(slates, units, rng) * rng.choice([-1, 1], units)[:, None]
        bounded = np.round(unit[:, 0] / MAX_SCORE * BINS) / BINS
        grown = np.log1p(np.outer(bounded, BOTH_SIDES)).cumsum(axis=0)[at - 1]
        bet += bool((np.logaddexp.reduce(grown, axis=1) - math.log(len(BOTH_SIDES)) >= bound).any())
        wins = (unit[:, 1] > 0).cumsum()[at - 1]
        losses = (unit[:, 1] < 0).cumsum()[at - 1]
        looks = list(zip(wins.tolist(), losses.tolist(), strict=True))
        mixture += any(log_e_sign(won, lost) >= bound for won, lost in looks)
        z = np.abs(wins - losses) / np.sqrt(np.maximum(wins + losses, 1))
        peeked += bool((z > Z_ALPHA).any())
    return WithoutPreference(bet / runs, mixture / runs, peeked / runs, runs)


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
