"""Many years, each under every release rule with the same challengers, and what each rule brings."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from experiments.simulation.lifecycle import run_lifecycle
from experiments.simulation.rivals import run_oracle, run_plain_tests, run_publishing
from experiments.simulation.year import Year, draw_challengers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from experiments.simulation.settings import YearSettings
    from experiments.simulation.year import YearRecord

ReleaseRule = Literal["publish", "peek", "fixed", "significant", "valuable", "oracle"]
OURS = ("significant", "valuable")


class Programme(NamedTuple):
    """A release rule, with interleaving before its tests or without."""

    rule: ReleaseRule
    interleaving: bool = False

    @property
    def label(self) -> str:
        """In words."""
        words = {
            "publish": "publish every retrain",
            "peek": "peek daily at p < .05",
            "fixed": "fixed horizon of two weeks",
            "oracle": "oracle",
        }
        name = words.get(self.rule, f"ours, {self.rule}")
        return f"{name}, interleaving" if self.interleaving else name


# Their places seed their traffic: leaving some out changes nothing about the others.
PROGRAMMES = (
    Programme("publish"),
    Programme("peek"),
    Programme("fixed"),
    Programme("significant"),
    Programme("significant", interleaving=True),
    Programme("valuable"),
    Programme("valuable", interleaving=True),
    Programme("oracle"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its Monte-Carlo standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class ProgrammeRow:
    """What a year under one release rule brings; every figure but the first is a mean over the runs.

    Attributes:
        rule: how releases are decided.
        interleaving: how much a user tells in the screening, of what was measured; None without one.
        final_lift: median over the first champion, at the end.
        share_of_oracle: lift captured: mean final log lift over that of the oracle, which met the same
            challengers.
        promotions: challengers that became champion.
        harmful_promotions: false promotions, of challengers that were worse than the champion.
        clearly_harmful_promotions: of them those worse by more than 1 %.
        broken_promotions: of them broken ones.
        broken_user_days: users served by broken challengers; each comes on one day.
        worse_user_days: users served by versions that were worse than the best champion so far.
        tests: challengers that were tested, or published.
        screened: challengers that shared lists with the champion before.
    """

    rule: ReleaseRule
    interleaving: float | None
    final_lift: Figure
    share_of_oracle: Figure
    promotions: Figure
    harmful_promotions: Figure
    clearly_harmful_promotions: Figure
    broken_promotions: Figure
    broken_user_days: Figure
    worse_user_days: Figure
    tests: Figure
    screened: Figure

    @property
    def label(self) -> str:
        """In words."""
        return Programme(self.rule, self.interleaving is not None).label

    def as_json(self) -> dict[str, Any]:
        """Return every figure with its error."""
        return asdict(self)


def simulate_programmes(
    settings: YearSettings,
    programmes: Sequence[Programme],
    *,
    runs: int,
    seed: int,
    advance: Callable[[Programme], None],
) -> list[ProgrammeRow]:
    """Pass the year under each programme.

    Args:
        settings: of the year.
        programmes: to compare; the oracle passes it too, whether it is among them or not.
        runs: years, each with challengers of its own that every programme meets.
        seed: of all randomness.
        advance: is called after each year with the programme that it passed under.
    """
    chosen = [one for one in PROGRAMMES if one in programmes or one.rule == "oracle"]
    records: dict[Programme, list[YearRecord]] = {one: [] for one in chosen}
    for run in range(runs):
        challengers = draw_challengers(settings, np.random.default_rng([seed, run]))
        for programme in chosen:
            rng = np.random.default_rng([seed, run, PROGRAMMES.index(programme)])
            records[programme].append(_pass(programme, Year(settings, challengers, rng)))
            advance(programme)
    return [_row(one, settings, records) for one in chosen]


def _pass(programme: Programme, year: Year) -> YearRecord:
    if programme.rule == "oracle":
        run_oracle(year)
    elif programme.rule == "publish":
        run_publishing(year)
    elif programme.rule in OURS:
        run_lifecycle(year, ship_when=programme.rule, interleaving=programme.interleaving)
    else:
        run_plain_tests(year, peeking=programme.rule == "peek")
    return year.end()


def _row(
    programme: Programme, settings: YearSettings, records: Mapping[Programme, Sequence[YearRecord]]
) -> ProgrammeRow:
    def column(name: str, of: Programme = programme) -> NDArray[np.float64]:
        return np.array([getattr(one, name) for one in records[of]], dtype=float)

    final = column("final")
    return ProgrammeRow(
        rule=programme.rule,
        interleaving=settings.interleaving if programme.interleaving else None,
        final_lift=_median(np.expm1(final)),
        share_of_oracle=_ratio(final, column("final", Programme("oracle"))),
        promotions=_mean(column("promotions")),
        harmful_promotions=_mean(column("harmful")),
        clearly_harmful_promotions=_mean(column("clearly_harmful")),
        broken_promotions=_mean(column("broken_promotions")),
        broken_user_days=_mean(column("broken_user_days")),
        worse_user_days=_mean(column("worse_user_days")),
        tests=_mean(column("tests")),
        screened=_mean(column("screened")),
    )


def _mean(values: NDArray[np.float64]) -> Figure:
    return Figure(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))


def _median(values: NDArray[np.float64]) -> Figure:
    """Return the median; its error is half of what lies between the ranks one error around it."""
    ranks = np.clip(0.5 + np.array([-0.5, 0.5]) / math.sqrt(len(values)), 0, 1)
    low, high = np.quantile(values, ranks)
    return Figure(float(np.median(values)), float(high - low) / 2)


def _ratio(values: NDArray[np.float64], limit: NDArray[np.float64]) -> Figure:
    """Return the ratio of two means over the same runs; its error by the delta method, paired."""
    if limit.mean() == 0:
        return Figure(0.0, 0.0)
    ratio = values.mean() / limit.mean()
    rest = values - ratio * limit
    error = rest.std(ddof=1) / math.sqrt(len(values)) / abs(limit.mean())
    return Figure(float(ratio), float(error))
