"""Are the verdicts right? False positives, power and length of each rule, with Monte-Carlo errors.

Writes docs/statistics/proof.md and its pictures beside the result file. Every experiment is judged by
the bounds that decide live (`experiments.stats.simulate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cdnow import read_cdnow
from benchmarks.consistency import measure_contradictions
from benchmarks.coverage import Coverage, measure_coverage, units_until_rolled_back
from benchmarks.results import PAGE, Row, write_result
from experiments.stats.policy import Policy
from experiments.stats.power import inflation, units_for_proportions
from experiments.stats.scenario import Epoch, Scenario
from experiments.stats.scenarios import draw_paths
from experiments.stats.simulate import (
    Outcomes,
    apply_rule,
    merge_outcomes,
    naive_outcomes,
)
from tests.support.random_looks import Tally

LOOKS = 100
FOLDER = PAGE.parent / "statistics"
OPEN = {"minimum_run_seconds": 0.0, "twyman_limit": 0.0}
RULES = ("group_sequential", "always_valid", "exact", "fixed")


@dataclass
class Line:
    """One row of the table.

    `low` and `high` are what the share must lie between, Monte-Carlo error aside.
    """

    scenario: str
    rule: str
    what: str
    share: float
    error: float
    stop: float
    stop_error: float
    low: float | None = None
    high: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the share lies in its bounds, within two Monte-Carlo errors."""
        if self.low is None and self.high is None:
            return None
        over = self.high is not None and self.share - 2 * self.error > self.high
        under = self.low is not None and self.share + 2 * self.error < self.low
        return not (over or under)


def policy_of(rule: str, planned: int, **fields) -> Policy:
    return Policy.parse({"rule": rule, "planned_units": planned, **OPEN, **fields})


class Proof:
    """The runs, with one generator: the same figures at every run."""

    def __init__(self, experiments: int) -> None:
        self.experiments = experiments
        self.rng = np.random.default_rng(20261125)
        self.lines: list[Line] = []
        self.curves: dict[str, list[float]] = {}

    def draw(self, scenario: Scenario, policies: dict[str, Policy], *, looks: int, per: int, act: bool):
        """Judge the same draws by each policy."""
        parts: dict[str, list[Outcomes]] = {name: [] for name in policies}
        first = next(iter(policies.values()))
        for paths in draw_paths(
            scenario,
            looks=looks,
            units_per_look=per,
            experiments=self.experiments,
            policy=first,
            rng=self.rng,
        ):
            for name, policy in policies.items():
                parts[name].append(
                    naive_outcomes(paths, alpha=policy.alpha)
                    if name == "naive"
                    else apply_rule(policy, paths, act_on_futility=act)
                )
        return {name: merge_outcomes(outcomes) for name, outcomes in parts.items()}

    def note(
        self, scenario, rule, what, outcomes: Outcomes, planned, low, high, direction=None
    ) -> None:
        share, error = outcomes.rate(direction)
        stop, stop_error = outcomes.mean_stop(planned)
        self.lines.append(Line(scenario, rule, what, share, error, stop, stop_error, low, high))

    def false_positives(self, full: bool) -> None:
        """Each kind under each rule: A/A with 100 looks, futility not acted on."""
        kinds = {
            "proportion": (Scenario("proportion", level=0.1), 200),
            "mean": (Scenario("mean", level=1.0), 60),
            "mean with covariate (CUPED)": (Scenario("covariate", level=1.0), 60),
            "revenue, zero-inflated log-normal": (Scenario("revenue", level=0.2), 100),
            "ratio, rates of their own": (Scenario("ratio", level=0.2), 40),
            "median of log-normal": (Scenario("median", level=1.0), 60 if full else 20),
        }
        for name, (scenario, per) in kinds.items():
            planned = LOOKS * per
            policies = {
                rule: policy_of(rule, planned, reserve=0.0)
                for rule in RULES
                if rule != "exact" or scenario.kind == "proportion"
            }
            policies["naive"] = policy_of("fixed", planned)
            by_policy = self.draw(scenario, policies, looks=LOOKS, per=per, act=False)
            for rule, outcomes in by_policy.items():
                low, high = {
                    "group_sequential": (0.039, 0.062), "always_valid": (None, 0.04), "exact": (None, 0.04),
                    "fixed": (0.039, 0.062), "naive": (None, None),
                }[rule]  # fmt: skip
                self.note(f"A/A, {name}", rule, "false positives", outcomes, planned, low, high)
                if scenario.kind == "proportion":
                    self.curves[rule] = [outcomes.rate_by(look) for look in range(LOOKS)]

    def hard_cases(self) -> None:
        """Rare, skewed in share, ramped and drifting."""
        ramp = [Epoch(25, 0.05, 1.0), Epoch(25, 0.2, 1.15), Epoch(50, 0.5, 1.3)]
        cases = {
            "A/A, rare (p = .004)": (Scenario("proportion", level=0.004), 1000),
            "A/A, 5 % share": (Scenario("proportion", level=0.05, epochs=[Epoch(LOOKS, 0.05)]), 400),
            "A/A, rare and 5 % share": (
                Scenario("proportion", level=0.005, epochs=[Epoch(LOOKS, 0.05)]),
                2000,
            ),
            "A/A, ramp 5-20-50 % with a drifting base": (
                Scenario("proportion", level=0.2, epochs=ramp),
                400,
            ),
            "A/A, revenue, 5 % share": (
                Scenario("revenue", level=0.2, epochs=[Epoch(LOOKS, 0.05)]),
                600,
            ),
            "A/A, revenue with whales": (Scenario("whales", level=0.2), 100),
            "A/A, revenue with whales, 90/10": (
                Scenario("whales", level=0.2, epochs=[Epoch(LOOKS, 0.1)]),
                200,
            ),
            "A/A, proportion, 90/10": (
                Scenario("proportion", level=0.1, epochs=[Epoch(LOOKS, 0.1)]),
                200,
            ),
            "A/A, median rounded to 10 (of about 50)": (
                Scenario("median", level=50.0, sd=0.5, step=10.0),
                40 if self.experiments > 1000 else 20,
            ),
            "A/A, median rounded to 10, 90/10": (
                Scenario("median", level=50.0, sd=0.5, step=10.0, epochs=[Epoch(LOOKS, 0.1)]),
                40 if self.experiments > 1000 else 20,
            ),
        }
        for name, (scenario, per) in cases.items():
            planned = LOOKS * per
            policies = {
                rule: policy_of(rule, planned, reserve=0.0)
                for rule in RULES[:3]
                if rule != "exact" or scenario.kind == "proportion"
            }
            by_policy = self.draw(scenario, policies, looks=LOOKS, per=per, act=False)
            for rule, outcomes in by_policy.items():
                self.note(name, rule, "false positives", outcomes, planned, None, 0.065)

    def whole_policy(self) -> None:
        """The default policy: reserve and futility on, to four times the plan."""
        planned = LOOKS * 100
        policies = {"group_sequential": policy_of("group_sequential", planned)}
        outcomes = self.draw(
            Scenario("proportion", level=0.2), policies, looks=4 * LOOKS, per=100, act=True
        )["group_sequential"]
        self.note("A/A to 4 N, reserve and futility", "group_sequential", "false positives", outcomes, planned, None, 0.055)  # fmt: skip
        outcomes = self.draw(
            Scenario("proportion", level=0.2), {"always_valid": policy_of("always_valid", planned)},
            looks=4 * LOOKS, per=100, act=False,
        )["always_valid"]  # fmt: skip
        self.note("A/A to 4 N", "always_valid", "false positives", outcomes, planned, None, 0.05)

    def power(self) -> None:
        """Power at the MDE: the group-sequential plan inflated as `bakeoff power` does; others at N."""
        base, lift = 0.2, 0.1
        one_look = 2 * units_for_proportions(base, base * (1 + lift))
        extra = inflation("group_sequential", reserve=0.005, futility=True)
        per = round(one_look * extra / LOOKS / 2) * 2
        scenario = Scenario("proportion", level=base, lift=lift)
        policy = policy_of("group_sequential", per * LOOKS)
        powered = self.draw(scenario, {"gs": policy}, looks=LOOKS, per=per, act=True)["gs"]
        self.note("effect = MDE, N inflated, reserve and futility", "group_sequential", "power",
                  powered, per * LOOKS, 0.78, None, 1)  # fmt: skip
        gs_stop = self.lines[-1].stop
        self.lines.append(
            Line("effect = MDE, N inflated, reserve and futility", "group_sequential", "mean stop",
                 gs_stop, self.lines[-1].stop_error, gs_stop, self.lines[-1].stop_error, None, 0.80)
        )  # fmt: skip
        to_four = self.draw(scenario, {"gs": policy}, looks=4 * LOOKS, per=per, act=False)["gs"]
        self.note("effect = MDE, to 4 N, futility off", "group_sequential", "power", to_four, per * LOOKS, 0.95, None, 1)  # fmt: skip
        per = round(one_look / LOOKS / 2) * 2
        policies = {rule: policy_of(rule, per * LOOKS, reserve=0.0) for rule in RULES}
        for rule, outcomes in self.draw(scenario, policies, looks=LOOKS, per=per, act=False).items():
            low = {"always_valid": 0.5, "fixed": 0.78}.get(rule)
            self.note("effect = MDE, N of one look", rule, "power", outcomes, per * LOOKS, low, None, 1)
        twice = Scenario("proportion", level=base, lift=2 * lift)
        for rule, outcomes in self.draw(twice, policies, looks=LOOKS, per=per, act=False).items():
            self.note(
                "effect = 2 MDE, N of one look", rule, "power", outcomes, per * LOOKS, None, None, 1
            )

    def power_curves(self) -> dict[str, list[tuple[float, float]]]:
        base, mde = 0.2, 0.1
        per = round(2 * units_for_proportions(base, base * (1 + mde)) / LOOKS / 2) * 2
        policies = {rule: policy_of(rule, per * LOOKS, reserve=0.0) for rule in RULES}
        curves: dict[str, list[tuple[float, float]]] = {rule: [] for rule in RULES}
        for factor in (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0):
            scenario = Scenario("proportion", level=base, lift=mde * factor)
            for rule, outcomes in self.draw(
                scenario, policies, looks=LOOKS, per=per, act=False
            ).items():
                curves[rule].append((factor, outcomes.rate(1)[0]))
        return curves


def run(size: str, home: str) -> None:
    proof = Proof(4000 if size == "full" else 600)
    proof.false_positives(size == "full")
    proof.hard_cases()
    proof.whole_policy()
    proof.power()
    curves = proof.power_curves()
    cdnow = measure_cdnow(Path(home), 1000 if size == "full" else 200)
    proof.lines += cdnow
    golden = measure_golden()
    full = size == "full"
    coverage = measure_coverage(2000 if full else 200, proof.rng)
    failures = {
        rule: units_until_rolled_back(rule, 200 if full else 20, proof.rng)
        for rule in ("group_sequential", "always_valid", "exact")
    }
    tally = measure_contradictions(100_000)
    rows = [
        Row(f"{line.scenario}: {line.what}, {line.rule}", line.share, "share", None, None,
            _target(line), spread=f"± {line.error:.4f}", higher_is_better=line.what == "power")
        for line in proof.lines
    ]  # fmt: skip
    rows.append(
        Row(
            f"reference cases met, of {golden[1]}",
            golden[0],
            "cases",
            None,
            golden[1],
            "share_of_limit >= 1",
        )
    )
    rows += [
        Row(f"coverage of 95 % intervals, {row.name}", row.absolute, "share", None, None,
            f"ours >= {0.94 - 2 * row.error:.4f}" if "whales" not in row.name else "",
            spread=f"± {row.error:.4f}")
        for row in coverage
    ]  # fmt: skip
    rows += [
        Row(f"units an arm until 30 % against 0 is rolled back, {rule}", median, "units", None, None,
            "", spread=f"95 %: {late:.0f}", higher_is_better=False)
        for rule, (median, late) in failures.items()
    ]  # fmt: skip
    rows.append(
        Row(f"contradictions in {tally.looks:,} looks at random totals", len(tally.wrong), "looks", None,
            None, "ours <= 0", higher_is_better=False)
    )  # fmt: skip
    write_result(
        "statistics", size, rows, f"{proof.experiments} experiments a row, {LOOKS} looks.", ("scipy",)
    )
    FOLDER.mkdir(exist_ok=True)
    draw(proof, curves)
    write_proof(proof, size, golden)
    write_more(coverage, failures, tally)


def _target(line: Line) -> str:
    """The bound, widened by two Monte-Carlo errors: one run must not fail by its own noise."""
    if line.high is not None:
        return f"ours <= {line.high + 2 * line.error:.4f}"
    return "" if line.low is None else f"ours >= {line.low - 2 * line.error:.4f}"


def measure_golden() -> tuple[int, int]:
    from tests.conformance.golden.cases import run_file

    report = run_file(Path(__file__).parent.parent / "tests" / "conformance" / "cases.json")
    return report["passed"], report["total"]


def measure_cdnow(home: Path, splits: int) -> list[Line]:
    """Real customers: what the spend before cuts of the variance, and A/A splits with it."""
    from experiments.stats.effects import compare
    from experiments.stats.totals import Totals

    customers = read_cdnow(home)
    before, after = customers.before, customers.after
    rng, wrong, cut = np.random.default_rng(7), 0, []
    for _ in range(splits):
        treated = rng.random(len(after)) < 0.5
        sides = [Totals.of(after[m].tolist(), None, before[m].tolist()) for m in (~treated, treated)]
        effect = compare("mean", *sides)
        wrong += effect.p_value < 0.05
        cut.append(effect.variance_reduction or 0.0)
    share, error = wrong / splits, (0.05 * 0.95 / splits) ** 0.5
    spread = float(np.std(cut) / len(cut) ** 0.5)
    name = f"CDNOW, {len(after):,} customers, {splits} random splits"
    return [
        Line(name, "fixed", "false positives", share, error, 1.0, 0.0, 0.036, 0.064),
        Line(name, "CUPED", "variance reduction", float(np.mean(cut)), spread, 1.0, 0.0, 0.30, None),
    ]


def draw(proof: Proof, curves: dict[str, list[tuple[float, float]]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    from experiments.reports.rate_chart import draw_rates

    mpl.rcParams["svg.hashsalt"] = "bakeoff"
    colours = {
        "group_sequential": "#0072b2",
        "always_valid": "#d55e00",
        "exact": "#009e73",
        "fixed": "#5b6776",
    }
    (FOLDER / "false-positives.svg").write_text(draw_rates(proof.curves, 0.05))
    figure, axis = plt.subplots(figsize=(7.2, 3.6))
    for rule, points in curves.items():
        axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=rule, color=colours[rule])
    axis.set_xlabel("effect, in multiples of the planned one")
    axis.set_ylabel("power by the planned units")
    axis.axhline(0.8, color="#9aa4b1", linestyle=":")
    axis.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(FOLDER / "power.svg", metadata={"Date": None})
    plt.close(figure)
    draw_sample_path(colours)


def draw_sample_path(colours: dict[str, str]) -> None:
    """One experiment with an effect, and the bounds that it meets."""
    from matplotlib import pyplot as plt

    from experiments.stats.rules import Progress, RuleState, bound_at

    figure, axis = plt.subplots(figsize=(7.2, 3.6))
    planned = 10_000
    rng = np.random.default_rng(3)
    (paths,) = draw_paths(
        Scenario("proportion", level=0.2, lift=0.12), looks=LOOKS, units_per_look=100, experiments=1,
        policy=policy_of("fixed", planned), rng=rng,
    )  # fmt: skip
    axis.plot(paths.units, paths.statistic[0], color="#1d2733", label="z of one experiment")
    for rule in ("group_sequential", "always_valid"):
        policy, state, bounds = policy_of(rule, planned, reserve=0.0), RuleState(), []
        for units in paths.units:
            bound = bound_at(policy, state, Progress(int(units)))
            state = bound.state
            bounds.append(bound.critical)
        for sign in (1, -1):
            axis.plot(paths.units, np.array(bounds) * sign, color=colours[rule],
                      label=f"bounds of {rule}" if sign > 0 else None)  # fmt: skip
    axis.axhline(1.96, color="#9aa4b1", linestyle=":", label="1.96: one look only")
    axis.axhline(-1.96, color="#9aa4b1", linestyle=":")
    axis.set_ylim(-5, 5)
    axis.set_xlabel("complete units")
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(FOLDER / "sample-path.svg", metadata={"Date": None})
    plt.close(figure)


def write_proof(proof: Proof, size: str, golden: tuple[int, int]) -> None:
    lines = [
        "# Proof\n\nWritten by `make bench ONLY=statistics`; do not edit. "
        f"{proof.experiments:,} experiments a row (size {size}), each looked at {LOOKS} times on the way to its planned "
        "units, judged by the bounds that decide live. ± is one Monte-Carlo standard error; a row holds when its share lies "
        "within the bounds, two Monte-Carlo errors aside. The mean stop is in planned units.\n\n"
        "| scenario | rule | what | share | ± | mean stop | ± | must be | holds |\n|---|---|---|---|---|---|---|---|---|\n"
    ]
    for line in proof.lines:
        bound = " and ".join(
            part for part in (
                f"≥ {line.low:g}" if line.low is not None else "",
                f"≤ {line.high:g}" if line.high is not None else "",
            ) if part
        )  # fmt: skip
        holds = {True: "yes", False: "**no**", None: ""}[line.holds]
        lines.append(
            f"| {line.scenario} | {line.rule} | {line.what} | {line.share:.4f} | {line.error:.4f} | {line.stop:.3f} | "
            f"{line.stop_error:.3f} | {bound} | {holds} |\n"
        )
    lines.append(
        f"\nReference cases of independent libraries (`python -m tests.conformance.golden FILE`): {golden[0]} of {golden[1]} "
        "met.\n\n## False positives against the number of looks\n\nA/A on a proportion; `naive` is p < .05 at each look.\n\n"
        "![False positives by number of looks](false-positives.svg)\n\n## Power\n\n"
        "Units of a single look's plan, 100 looks.\n\n![Power curves](power.svg)\n\n## One experiment and its bounds\n\n"
        "![Sample path](sample-path.svg)\n"
    )
    (FOLDER / "proof.md").write_text("".join(lines))


def write_more(
    coverage: list[Coverage], failures: dict[str, tuple[float, float]], tally: Tally
) -> None:
    """Append coverage, the speed of a roll-back, and the search for contradictions."""
    lines = [
        "\n## Coverage\n\n95 % intervals of one look at 10,000 units, the treatment 10 % better. `none` is the share of "
        "runs without a relative interval, because the control is not clear of zero. Means of whales are no "
        "normal means at this size: the level is kept, but in an unequal split by an interval as wide as the larger "
        "variance makes it. Cap such a metric (`cap`, `cap_quantile`).\n\n"
        "| population and split | difference | lift | none | ± |\n|---|---|---|---|---|\n"
    ]
    lines += [
        f"| {row.name} | {row.absolute:.4f} | {row.relative:.4f} | {row.without:.4f} | {row.error:.4f} |\n"
        for row in coverage
    ]
    lines.append(
        "\n## A total failure\n\nUnits an arm until 30 % against 0 is rolled back by plain looks, one after every ten "
        "units an arm, of a plan of 40,000 units.\n\n| rule | median | 95 % |\n|---|---|---|\n"
    )
    lines += [f"| {rule} | {median:.0f} | {late:.0f} |\n" for rule, (median, late) in failures.items()]
    lines.append(
        f"\n## Verdict, interval and p-value\n\n{tally.looks:,} looks at random totals (every kind, with and without "
        f"covariate, every rule, splits from 50/50 to 99/1, one or two epochs, one to three treatments): "
        f"{tally.intervals:,} intervals, {tally.decided:,} without 0, {tally.lifts:,} relative ones; "
        f"{len(tally.wrong)} contradictions between bound, interval, relative interval and p ≤ level.\n"
    )
    with (FOLDER / "proof.md").open("a") as page:
        page.writelines(lines)
