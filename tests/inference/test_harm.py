"""What the gate's rule alone would let through: poisoned rows, given-up labels, a fit that stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference.algorithms import classifiers
from inference.classifiers.protocol import HeadOptions, fit_head
from inference.classifiers.tfidf import Tfidf
from inference.evaluation.falls import compare_fall, find_label_falls
from inference.evaluation.gate import GateRule
from inference.evaluation.labelling import score_labels
from inference.options import FitOptions
from inference.runs.fit_and_judge import Catalogue, fit_and_judge
from inference.runs.label_and_judge import label_and_judge
from inference.runs.outcome import Recipe, RunError, RunPlan, RunProgress, ServedVersion, Workplace
from inference.serving.artifact import load_draft, save_artifact
from inference.serving.model_worker import open_worker_model
from inference.training.data import LabelledData
from inference.training.snapshot import Examples, Likes

WORDS = [f"word{n}" for n in range(60)]
DAY = 86_400.0


def sentence(rng, *more) -> str:
    return " ".join([*rng.choice(WORDS, 5), *more])


def rare_label(count=1500, every=100, seed=0) -> Examples:
    """One label in a hundred, always with the same words."""
    rng = np.random.default_rng(seed)
    labels = ["fraud" if n % every == 0 else "fine" for n in range(count)]
    texts = [sentence(rng, *(("stolen card",) if label == "fraud" else ())) for label in labels]
    return Examples([""] * count, texts, [{}] * count, labels, list(map(float, range(count))))


def many_labels(labels=700, each=2, seed=0) -> LabelledData:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(labels), each)
    texts = [f"{rng.choice(WORDS)} topic{label} about{label}" for label in truth]
    return LabelledData(texts, [{}] * len(texts), truth, [f"l{n}" for n in range(labels)])


def plan_of(tmp_path, model, rule, champion=None, served=None, **params) -> RunPlan:
    return RunPlan(
        recipe=Recipe(model, params),
        champion=champion,
        rule=rule,
        place=Workplace(tmp_path / "artifacts"),
        served=served,
    )


def checks_of(gate) -> dict[str, str]:
    return {row["check"]: row["said"] for row in gate.about["checks"]}


class Peeking(Tfidf):
    """Knows what is held out, whatever it is given to learn from."""

    def __init__(self, examples: Examples) -> None:
        labels = sorted(set(examples.labels))
        truth = np.array([labels.index(label) for label in examples.labels])
        self._whole = LabelledData(examples.texts, examples.features, truth, labels)

    def fit(self, data, options):  # noqa: ARG002
        return super().fit(self._whole, options)


def test_a_leak_in_the_classifier_itself_fails_the_run(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    labels = [("a", "b")[n % 2] for n in range(200)]
    texts = [sentence(rng, f"topic{label}") for label in labels]
    examples = Examples([""] * 200, texts, [{}] * 200, labels, list(map(float, range(200))))
    monkeypatch.setitem(classifiers(), "peeking", Peeking(examples))
    with pytest.raises(RunError, match="accuracy after a fit on shuffled labels"):
        label_and_judge(plan_of(tmp_path, "peeking", GateRule.for_labels()), examples, RunProgress())


def test_a_rare_label_is_learnt(tmp_path):
    result = label_and_judge(
        plan_of(tmp_path, "tfidf", GateRule.for_labels()), rare_label(), RunProgress()
    )
    assert result.gate.passed
    assert result.gate.rows["recall"]["challenger"] == 1.0
    assert result.gate.about["notes"] == []
    classifier = open_worker_model(tmp_path / "artifacts", result.artifact_sha256)
    assert classifier.about["fit"]["converged"] is True


def test_one_in_five_hundred_is_learnt(tmp_path):
    examples = rare_label(count=3000, every=500)
    truth = np.array([label == "fraud" for label in examples.labels], dtype=np.int64)
    data = LabelledData(examples.texts, examples.features, truth, ["fine", "fraud"])
    digest = save_artifact(tmp_path, Tfidf().fit(data, FitOptions()))
    probabilities = open_worker_model(tmp_path, digest).probabilities(data.texts, data.features)
    assert score_labels(probabilities, truth).mean("recall") == 1.0


def test_seven_hundred_labels_are_learnt(tmp_path):
    data = many_labels()
    digest = save_artifact(tmp_path, Tfidf().fit(data, FitOptions()))
    probabilities = open_worker_model(tmp_path, digest).probabilities(data.texts, data.features)
    assert score_labels(probabilities, data.truth).mean("recall") == 1.0


def test_the_fit_stops_where_the_gradient_is_small():
    """By the gradient itself: the mean over rows of (probability less truth) times the row."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 6)).astype(np.float32)
    truth = np.zeros(400, dtype=np.int64)
    truth[:4] = 1
    rows[:4, 0] += 6
    head = fit_head(rows, truth, 2, HeadOptions(inverse_l2=10.0))
    logits = rows @ head.weights + head.offset
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    assert head.converged
    # Offsets are not penalised: at the optimum a label is given exactly as often as it occurs.
    assert chances.mean(0)[1] == pytest.approx(0.01, rel=0.05)


def test_a_fit_that_ran_out_of_steps_says_so(tmp_path):
    plan = plan_of(tmp_path, "tfidf", GateRule.for_labels(), max_steps=2)
    result = label_and_judge(plan, rare_label(), RunProgress())
    assert any("has not converged in 2 steps" in note for note in result.gate.about["notes"])


def test_labels_may_weigh_alike(tmp_path):
    rng = np.random.default_rng(0)
    truth = (rng.random(2000) < 0.03).astype(np.int64)
    rows = rng.normal(size=(2000, 3)) + truth[:, None] * 1.2
    weights = {}
    for weight in ("none", "balanced"):
        head = fit_head(rows, truth, 2, HeadOptions(1.0, class_weight=weight))
        best = (rows @ head.weights + head.offset).argmax(1)
        weights[weight] = (best[truth == 1] == 1).mean()
    assert weights["balanced"] > weights["none"] + 0.3
    with pytest.raises(ValueError, match="class_weight == 'sqrt', must be one of"):
        HeadOptions(1.0, class_weight="sqrt")


def test_labels_that_are_never_found_are_named(tmp_path):
    """Their texts have no word of their own."""
    examples = rare_label(count=600, every=12)
    rng = np.random.default_rng(1)
    texts = [
        sentence(rng, *(("yes",) if n % 2 and label == "fine" else ()))
        for n, label in enumerate(examples.labels)
    ]
    plan = plan_of(tmp_path, "tfidf", GateRule.for_labels(), inverse_l2=0.1)
    result = label_and_judge(plan, replace(examples, texts=texts), RunProgress())
    (note,) = result.gate.about["notes"]
    assert note.startswith("labels that are hardly ever found: 'fraud' (")


def test_a_version_that_gives_up_a_label_is_refused(tmp_path):
    """Accuracy falls by one in a hundred and may; the label is gone."""
    champion = Recipe("tfidf", {}, "tfidf@1")
    plan = plan_of(tmp_path, "tfidf", GateRule.for_labels(), champion, max_steps=1, inverse_l2=1e-6)
    gate = label_and_judge(plan, rare_label(count=3000), RunProgress()).gate
    assert gate.rows["accuracy"]["challenger"] == pytest.approx(0.99)
    assert not gate.passed
    assert any("macro recall 0.5000, tfidf@1 1.0000" in reason for reason in gate.reasons)


def test_falls_of_labels_are_told_from_chance():
    truth = np.repeat([0, 1, 2], [200, 40, 6])
    other = np.ones(246, dtype=bool)
    ours = other.copy()
    ours[200:220] = False  # half of label 1
    ours[240:242] = False  # two of six of label 2: chance may do that
    assert find_label_falls(ours, other, truth) == [1]
    assert find_label_falls(other, ours, truth) == []


def test_a_fall_is_evidence_not_doubt():
    rng = np.random.default_rng(0)
    same = rng.random(30)
    assert not compare_fall("ndcg", same, same, margin=0.05, on="rows").fell
    assert not compare_fall("ndcg", rng.random(10), rng.random(10), margin=0.05, on="rows").fell
    assert compare_fall("ndcg", same - 0.3, same, margin=0.05, on="rows").fell


# A catalogue in which some items are liked by all: popularity has something to know.
ITEMS = [f"i{n}" for n in np.random.default_rng(0).permutation(60)]


def popular_likes(units=60, each=8, seed=0) -> Likes:
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, 61)
    rows = []
    for unit in range(units):
        liked = rng.choice(60, each, replace=False, p=shares / shares.sum())
        rows += [(f"u{unit:03}", f"i{item}", 1e9 + DAY * at) for at, item in enumerate(liked)]
    return Likes(*map(list, zip(*rows, strict=True)))


def poison(likes: Likes) -> Likes:
    """The last unit's last like is of the year 9999: it lies in what is held out."""
    return replace(likes, liked_at=[*likes.liked_at[:-1], 253_370_764_800.0])


def run_popularity(tmp_path, likes, champion=None, served=None, **fields):
    rule = GateRule(least_coverage=0.0)
    plan = plan_of(tmp_path, "popularity", rule, champion, served, **fields)
    return fit_and_judge(plan, likes, Catalogue(ITEMS), RunProgress())


def test_an_export_that_has_lost_what_was_judged_is_refused(tmp_path):
    assert run_popularity(tmp_path, popular_likes()).gate.passed
    gate = run_popularity(tmp_path, poison(popular_likes())).gate
    assert not gate.passed
    assert "the last fit, on all rows, has lost what the judged fit knew" in gate.reasons[0]


def test_the_artifact_that_serves_is_judged_too(tmp_path):
    """Both recipes are fitted on the same poisoned rows: beside each other, neither looks ill."""
    clean = popular_likes()
    first = run_popularity(tmp_path, clean)
    champion = Recipe("popularity", {}, "popularity@1")
    served = ServedVersion("popularity@1", first.artifact_sha256, "popularity", clean)
    again = run_popularity(tmp_path, clean, champion, served).gate
    assert again.passed
    assert "that both have seen" in checks_of(again)["no fall against the artifact that serves now"]
    # A flood: all earlier likes are of thirty items that hardly anybody likes.
    items = [i if n % 8 == 7 else f"i{30 + n * 7 % 30}" for n, i in enumerate(clean.item_ids)]
    bad = replace(clean, item_ids=items)
    gate = run_popularity(tmp_path, bad, champion, served).gate
    assert not gate.passed
    assert any("popularity@1" in r and "that both have seen" in r for r in gate.reasons), gate.reasons


def test_rows_that_neither_has_seen_decide_where_there_are_enough(tmp_path):
    old, new = popular_likes(), popular_likes(seed=1)
    first = run_popularity(tmp_path, old)
    served = ServedVersion("popularity@1", first.artifact_sha256, "popularity", old)
    gate = run_popularity(tmp_path, new, Recipe("popularity", {}, "popularity@1"), served).gate
    assert "that neither has seen" in checks_of(gate)["no fall against the artifact that serves now"]


def test_a_serving_artifact_that_is_lost_stops_no_run(tmp_path):
    served = ServedVersion("popularity@1", "0" * 64, "popularity", None)
    gate = run_popularity(tmp_path, popular_likes(), None, served).gate
    assert gate.passed
    assert "is missing" in checks_of(gate)["no fall against the artifact that serves now"]


def test_a_classifier_is_judged_against_what_serves(tmp_path):
    """The labels of half of the new examples were dealt anew: the champion's recipe suffers alike."""
    clean = rare_label(count=600, every=3)
    rule = GateRule.for_labels()
    first = label_and_judge(plan_of(tmp_path, "tfidf", rule), clean, RunProgress())
    served = ServedVersion("tfidf@1", first.artifact_sha256, "tfidf", clean)
    champion = Recipe("tfidf", {}, "tfidf@1")
    fresh = rare_label(count=600, every=3, seed=5)
    good = label_and_judge(
        plan_of(tmp_path, "tfidf", rule, champion, served), fresh, RunProgress()
    ).gate
    assert good.passed, good.reasons
    labels = list(fresh.labels)
    for n in range(300):  # the earlier half says the contrary
        labels[n] = "fine" if labels[n] == "fraud" else "fraud"
    bad = replace(fresh, labels=labels)
    gate = label_and_judge(plan_of(tmp_path, "tfidf", rule, champion, served), bad, RunProgress()).gate
    assert not gate.passed
    assert any("tfidf@1" in r and "that neither has seen" in r for r in gate.reasons), gate.reasons


def test_likes_of_unknown_items_are_named(tmp_path):
    likes = popular_likes()
    with pytest.raises(RunError, match="every liked item is unknown: none of 60 is in the catalogue"):
        run_popularity(tmp_path, replace(likes, item_ids=[f"x{i}" for i in likes.item_ids]))
    some = [f"x{i}" if n % 10 == 0 else i for n, i in enumerate(likes.item_ids)]
    notes = run_popularity(tmp_path, replace(likes, item_ids=some)).gate.about["notes"]
    assert notes == ["48 of 480 likes are of items that are not in the catalogue: they are not learnt."]


def test_repeated_likes_are_counted(tmp_path):
    from experiments.reports.stored_text import show_stored

    likes = popular_likes()
    assert run_popularity(tmp_path, likes).gate.about["notes"] == []
    rows = [
        (unit, item, at + more)
        for unit, item, at in zip(likes.unit_ids, likes.item_ids, likes.liked_at, strict=True)
        for more in ((0.0, 60.0, 120.0) if unit == "u000" else (0.0,))
    ]
    twice = Likes(*map(list, zip(*rows, strict=True)))
    gate = run_popularity(tmp_path, twice).gate
    (note,) = gate.about["notes"]
    assert note.startswith("16 likes repeat what the same user had liked before, and count once. ")
    assert gate.about["window"]["likes"] == len(likes.item_ids)
    assert show_stored(note).startswith("16 positive signals repeat an earlier one of the same user")


def test_long_texts_are_named(tmp_path, tiny_bert):
    from inference.encoders.text_length import notes_on_length

    assert notes_on_length(str(tiny_bert), ["heat rain"] * 9 + ["heat " * 200]) == []
    (note,) = notes_on_length(str(tiny_bert), ["heat rain"] + ["heat " * 200] * 9)
    assert note.startswith("90% of the texts are longer than the 128 tokens")


def test_an_artifact_keeps_what_its_fit_said(tmp_path):
    digest = save_artifact(tmp_path, Tfidf().fit(many_labels(labels=5), FitOptions()))
    assert load_draft(tmp_path, digest).about["fit"]["steps"] > 0
