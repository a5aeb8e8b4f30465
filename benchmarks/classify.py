"""Classifiers: accuracy, calibration, cost at the chosen rule, on public data and Chinese texts.

    python -m benchmarks --only classify

CLINC150 (Larson et al. 2019, CC BY 3.0) and the UCI set 350 of credit card defaults (Yeh and Lien 2009,
CC BY 4.0) are read from `../shared/data`, where they are there; the Chinese lines are
benchmarks/data/chinese_intents.tsv: 104 phrasings with four objects each, and no phrasing of the test
part occurs in training.
"""

from __future__ import annotations

import csv
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.results import Row, write_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.runs.label_run import JudgedLabels, LabelRun

ROOT = Path(__file__).parents[1]
CHINESE = ROOT / "benchmarks" / "data" / "chinese_intents.tsv"
ABSTAIN_COST, ABSTAIN_COST_OF_LOANS = 0.3, 0.6
MISSED_DEFAULT = 5.0  # as many refused loans as one that is not paid back


@dataclass(frozen=True, slots=True)
class Part:
    """Examples to learn from, or to judge by."""

    texts: Sequence[str]
    features: Sequence[Mapping[str, Any]]
    labels: Sequence[str]


def run(size: str, home: str) -> None:
    """Fit TF-IDF with its temperature on each data set, and judge it."""
    rows = [*_clinc(home, size), *_credit(home, size), *_chinese(home)]
    notes = (
        "TF-IDF with logistic regression, one temperature fitted on the last fifth of each label's training "
        "rows. CLINC150 (small) without its out-of-scope texts: train to test. Credit card defaults: the first "
        "four fifths to the last. Costs: 1 a mistake, and where it says so a missed default 5; the peer of a "
        "mean cost is the same model that always answers the most probable label. The peer of a calibration "
        "error is the model without its temperature; of the Chinese texts, words in place of characters."
    )  # fmt: skip
    write_result("classify", size, rows, notes, ("scikit-learn", "scipy"))


def data_file(name: str) -> Path | None:
    """Return where a data set lies that is not in this repository; None where it is not there."""
    places = (parent / "shared" / "data" / name for parent in ROOT.parents)
    return next((place for place in places if place.exists()), None)


def _clinc(home: str, size: str) -> list[Row]:
    file = data_file("clinc150_small.json")
    if file is None:
        return []
    data = json.loads(file.read_text(encoding="utf-8"))
    intents = sorted({label for _, label in data["train"]})[: None if size == "full" else 20]

    def part(name: str) -> Part:
        pairs = [(text, label) for text, label in data[name] if label in set(intents)]
        return Part([t for t, _ in pairs], [{}] * len(pairs), [label for _, label in pairs])

    return _rows("clinc150", home, part("train"), part("test"), {}, target="ours >= 0.8")


def _credit(home: str, size: str) -> list[Row]:
    file = data_file("credit-default.csv")
    if file is None:
        return []
    with file.open(encoding="utf-8", newline="") as source:
        lines = list(csv.DictReader(source))[: None if size == "full" else 4000]
    features = [
        {name: float(value) for name, value in line.items() if name not in {"ID", "dpnm"}}
        for line in lines
    ]
    labels, cut = [line["dpnm"] for line in lines], len(lines) * 4 // 5
    parts = [Part([""] * len(labels[one]), features[one], labels[one]) for one in (slice(cut), slice(cut, None))]  # fmt: skip
    return _rows("credit-default", home, *parts, {"1": {"0": MISSED_DEFAULT}}, target="ours >= 0.78")


def _rows(
    name: str, home: str, earlier: Part, later: Part, costs: dict[str, dict[str, float]], *, target: str
) -> list[Row]:
    from inference.serving.label_costs import LabelCosts

    abstain = ABSTAIN_COST_OF_LOANS if costs else ABSTAIN_COST
    start = time.perf_counter()
    judged = _judge(home, earlier, later, LabelCosts.parse(costs, None))
    seconds = time.perf_counter() - start
    asking = _judge(home, earlier, later, LabelCosts.parse(costs, abstain))
    plain = judged.scores
    mistakes = "a missed default costs 5" if costs else "each mistake costs 1"
    likeliest_cost = _cost_of_likeliest(later, plain.per_unit["accuracy"], costs)
    before = judged.uncalibrated.whole["calibration_error"] if judged.uncalibrated else None
    return [
        Row(f"{name}: accuracy", plain.mean("accuracy"), "share", target=target),
        Row(f"{name}: expected calibration error (peer: without temperature)",
            plain.whole["calibration_error"], "share", before, higher_is_better=False),
        Row(f"{name}: mean cost, {mistakes} (peer: the most probable label)",
            plain.mean("decision_cost") if costs else 1 - plain.mean("accuracy"), "cost", likeliest_cost,
            higher_is_better=False),
        Row(f"{name}: mean cost, and asking a person costs {abstain} (peer: the most probable label)",
            asking.scores.mean("decision_cost"), "cost", likeliest_cost, higher_is_better=False),
        Row(f"{name}: share left to a person", asking.scores.mean("abstained"), "share"),
        Row(f"{name}: fits, temperature and evaluation", seconds, "s", higher_is_better=False),
    ]  # fmt: skip


def _cost_of_likeliest(
    later: Part, right: np.ndarray, costs: Mapping[str, Mapping[str, float]]
) -> float:
    """Return the mean cost of always answering the most probable of two labels, or of any at cost 1."""
    missed = {truth: max(row.values()) for truth, row in costs.items()}
    each = np.array([missed.get(label, 1.0) for label in later.labels])
    return float(np.where(right > 0, 0.0, each).mean())


def _chinese(home: str) -> list[Row]:
    from inference.serving.label_costs import NO_COSTS

    with CHINESE.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    parts = {}
    for part in ("train", "test"):
        chosen = [line for line in lines if line["part"] == part]
        texts = [line["text"] for line in chosen]
        parts[part] = Part(texts, [{}] * len(chosen), [line["label"] for line in chosen])
    run_ = labelled_run(home, parts["train"], parts["test"], NO_COSTS)
    draft = run_.fit_aside(run_.earlier)
    words = replace(draft, about={k: v for k, v in draft.about.items() if k != "terms"})
    ours, peer = (run_.judge(one).scores.mean("accuracy") for one in (draft, words))
    what = f"Chinese intents, {len(lines)} lines of four labels: accuracy (peer: words)"
    return [Row(what, ours, "share", peer, target="ours >= 0.95")]


def _judge(home: str, earlier: Part, later: Part, costs: Any) -> JudgedLabels:
    from inference.runs.label_calibration import CalibratedRecipe
    from inference.runs.outcome import RunProgress

    run_ = labelled_run(home, earlier, later, costs)
    recipe = CalibratedRecipe.of(run_, run_.plan.recipe, RunProgress())
    return run_.judge(recipe.fit(0, RunProgress()))


def labelled_run(home: str, earlier: Part, later: Part, costs: Any) -> LabelRun:
    """Return a run on a split that the data set brings itself."""
    from inference.evaluation.gate import GateRule
    from inference.runs.label_run import LabelRun
    from inference.runs.outcome import Labelling, Recipe, RunPlan, Workplace
    from inference.training.data import LabelledData
    from inference.training.snapshot import Examples

    place = Workplace(Path(home) / "artifacts")
    plan = RunPlan(Recipe("tfidf", {}), None, GateRule.for_labels(), place, labelling=Labelling(costs))
    texts, features = [*earlier.texts, *later.texts], [*earlier.features, *later.features]
    names = [*earlier.labels, *later.labels]
    labels = sorted(set(names))
    index = {label: i for i, label in enumerate(labels)}
    whole = LabelledData(texts, features, np.array([index[name] for name in names]), labels)
    rows = np.arange(len(names))
    cut = len(earlier.labels)
    examples = Examples([""] * len(names), texts, features, names, rows.astype(float).tolist())
    return LabelRun(plan, examples, whole, whole.rows(rows[:cut]), whole.rows(rows[cut:]), rows[cut:])
