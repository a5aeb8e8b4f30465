"""A simulated year of challengers: what the autopilot brings, beside its rivals and an oracle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Row, write_between_marks, write_result
from experiments.simulation.programme_table import (
    PROGRAMMES,
    Figure,
    Programme,
    ProgrammeRow,
    simulate_programmes,
)
from experiments.simulation.settings import YearSettings

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "statistics" / "programme.md", ROOT / "README.md"
MARK = "<!-- made by make bench ONLY=programme -->"
SEED, RUNS = 1, 100
OURS = tuple(one for one in PROGRAMMES if one.rule in {"significant", "valuable"})
# What the world is like, how many runs, and who is compared: the first two tables are quoted.
YEARS = {
    "Improvements that add up": (YearSettings(), RUNS, PROGRAMMES),
    # Rivals have no ramp.
    "The same, a day per step of the ramp (`--daily-ramp`)": (YearSettings(daily_ramp=True), RUNS, OURS),
    "Retrains of one recipe: nothing adds up (`--retrains`)": (
        YearSettings(retrains=True), RUNS, PROGRAMMES,
    ),
    "Retrains that age half a percent a week (`--retrains --ageing 0.005`)": (
        YearSettings(retrains=True, ageing=0.005), RUNS, PROGRAMMES,
    ),
}  # fmt: skip
VALUABLE, SCREENED = Programme("valuable"), Programme("valuable", interleaving=True)
# What a gate of interleaving is for: words, field, unit, whether more is better.
GATE_FIGURES = (
    ("lift captured", "share_of_oracle", "share", True),
    ("user-days on worse models", "worse_user_days", "users", False),
    ("false promotions", "harmful_promotions", "a year", False),
)
Table = dict[Programme, ProgrammeRow]


def run(size: str, home: str) -> None:
    if size != "full":
        _write_figures(size, _simulate("", YearSettings(), 20, PROGRAMMES))
        return
    tables = {title: _simulate(title, *world) for title, world in YEARS.items()}
    first, daily = list(tables.values())[:2]
    _write_figures(size, first)
    lines = [f"{RUNS} runs, seed {SEED}; ± is one Monte-Carlo standard error."]
    for title, table in tables.items():
        lines += ["", f"### {title}", "", *table_of(list(table.values()))]
    write_between_marks(PAGE, MARK, lines)
    write_between_marks(README, MARK, _quoted(first, daily))


def _quoted(first: Table, daily: Table) -> list[str]:
    """Return what README shows: what this version can do, and its rivals."""
    *head, oracle = table_of([row for one, row in first.items() if not one.interleaving])
    row = table_of([daily[VALUABLE]])[-1]
    return [*head, row.replace(VALUABLE.label, f"{VALUABLE.label}, a day per step of the ramp"), oracle]


def _write_figures(size: str, table: Table) -> None:
    write_result(
        "programme", size, rows_of(table), "20,000 users a week; docs/statistics/programme.md."
    )


def _simulate(title: str, settings: YearSettings, runs: int, programmes: Sequence[Programme]) -> Table:
    start = time.monotonic()
    rows = simulate_programmes(settings, programmes, runs=runs, seed=SEED, advance=lambda _: None)
    print(f"{title}: {time.monotonic() - start:.0f} s", flush=True)
    return {Programme(row.rule, row.interleaving is not None): row for row in rows}


def rows_of(table: Table) -> list[Row]:
    publish, fixed, oracle = (table[Programme(one)] for one in ("publish", "fixed", "oracle"))
    rows = []
    for ours in (VALUABLE, SCREENED):
        row = table[ours]
        rows += [
            Row(f"final lift, {ours.label}; fixed horizon; oracle", row.final_lift.value, "share",
                peer=fixed.final_lift.value, limit=oracle.final_lift.value, target="ratio_to_peer >= 1.5",
                spread=f"± {row.final_lift.error:.3f}"),
            Row(f"user-days on broken models, {ours.label}; publish", row.broken_user_days.value, "users",
                peer=publish.broken_user_days.value, target="ratio_to_peer >= 10", higher_is_better=False,
                spread=f"± {row.broken_user_days.error:.0f}"),
        ]  # fmt: skip
    broken = sum(
        row.broken_promotions.value
        for one, row in table.items()
        if one.rule in {"significant", "valuable"}
    )
    return [
        *rows,
        *_gate_rows(table),
        Row(
            "broken models promoted by ours",
            broken,
            "a year",
            target="ours <= 0",
            higher_is_better=False,
        ),
    ]


def _gate_rows(table: Table) -> list[Row]:
    """Return what screening by interleaving changes, beside the same programme without it."""
    rows = []
    for plain in (Programme("significant"), VALUABLE):
        gated = Programme(plain.rule, interleaving=True)
        for what, name, unit, higher in GATE_FIGURES:
            ours, peer = (getattr(table[one], name) for one in (gated, plain))
            rows.append(
                Row(f"{what}, {gated.label}; without interleaving", ours.value, unit, peer=peer.value,
                    target="ratio_to_peer >= 1" if name != "harmful_promotions" else "",
                    higher_is_better=higher, spread=f"± {ours.error:.3g}; without: ± {peer.error:.3g}")
            )  # fmt: skip
    return rows


def table_of(rows: Sequence[ProgrammeRow]) -> list[str]:
    lines = [
        "| release rule | final lift | lift captured | promoted | false promotions (worse than −1%) "
        "| user-days on worse models | on broken models |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        final, share = row.final_lift, row.share_of_oracle
        worse, broken = row.worse_user_days, row.broken_user_days
        lines.append(
            f"| {row.label} | {final.value:+.1%} ± {100 * final.error:.1f} | {share.value:.0%} ± {100 * share.error:.0f} "
            f"| {_shown(row.promotions)} | {_shown(row.harmful_promotions)} ({_shown(row.clearly_harmful_promotions)}) "
            f"| {worse.value:,.0f} ± {worse.error:,.0f} | {broken.value:,.0f} ± {broken.error:,.0f} |"
        )
    return lines


def _shown(figure: Figure) -> str:
    return f"{figure.value:.2f} ± {figure.error:.2f}"
