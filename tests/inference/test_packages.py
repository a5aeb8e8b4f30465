"""An algorithm of another package: the class of docs/models.md, registered by an entry point."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inference.algorithms import algorithms_of, classifiers, recommenders
from inference.evaluation.gate import GateRule
from inference.runs.fit_and_judge import fit_and_judge
from inference.runs.label_and_judge import label_and_judge
from inference.runs.outcome import Recipe, RunPlan, RunProgress, Workplace
from inference.runs.ranking_run import Catalogue
from inference.serving.ranker import Ranker
from inference.training.snapshot import Examples
from tests.support.learning import ITEMS, make_examples, make_likes

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
ENTRY_POINTS = """
[bakeoff.recommenders]
freshest = my_freshest:Freshest
broken = my_freshest:Missing

[bakeoff.classifiers]
words = my_freshest:Words
"""
WORDS = """

from inference.classifiers.tfidf import Tfidf


class Words(Tfidf):
    name = "words"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, with what docs/models.md says of adding an algorithm."""
    section = DOCS.read_text().split("## Add an algorithm", 1)[1]
    (code,) = re.findall(r"```python\n(.*?)```", section.split("\n## ", 1)[0], re.DOTALL)
    (tmp_path / "my_freshest.py").write_text(code + WORDS)
    info = tmp_path / "my_freshest-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-freshest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    for registry in (recommenders, classifiers):
        registry.cache_clear()
    yield
    for registry in (recommenders, classifiers):
        registry.cache_clear()


def plan(tmp_path, algorithm: str, rule: GateRule) -> RunPlan:
    return RunPlan(
        recipe=Recipe(algorithm, {}), champion=None, rule=rule, place=Workplace(tmp_path / "artifacts")
    )


def test_its_recommender_is_trained_and_served(package, tmp_path):
    result = fit_and_judge(
        plan(tmp_path, "freshest", GateRule()), make_likes(), Catalogue(ITEMS), RunProgress()
    )
    ranker = Ranker(tmp_path / "artifacts", result.artifact_sha256)
    assert ranker.about["algorithm"] == "freshest"
    assert len(ranker.default_order) == len(ITEMS)


def test_its_classifier_is_trained(package, tmp_path):
    drafts = make_examples()
    examples = Examples(
        unit_ids=[""] * len(drafts),
        texts=[draft.text for draft in drafts],
        features=[{}] * len(drafts),
        labels=[draft.label for draft in drafts],
        labelled_at=[float(n) for n in range(len(drafts))],
    )
    result = label_and_judge(plan(tmp_path, "words", GateRule.for_labels()), examples, RunProgress())
    assert result.gate.passed, result.gate.reasons


def test_what_cannot_be_loaded_hides_no_other(package):
    assert {"ease", "freshest"} <= set(algorithms_of("recommend"))
    assert "broken" not in algorithms_of("recommend")
    assert {"tfidf", "words"} <= set(algorithms_of("classify"))
    assert algorithms_of("flag") == {}
