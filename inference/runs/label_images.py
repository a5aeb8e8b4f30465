"""What texts and images each add to a classifier: its recipe without the one, and without the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inference.runs.ablation import BOTH, IMAGE, MAX_SECONDS, TEXT
from inference.serving.example_images import IMAGE as VECTOR
from inference.serving.example_images import without_images

if TYPE_CHECKING:
    from inference.runs.label_run import JudgedLabels, LabelRun
    from inference.training.data import LabelledData

SHOWN = ("accuracy", "log_score")


def image_views(run: LabelRun, both: JudgedLabels) -> dict[str, Any]:
    """Return the ablation, and how many examples have an image; nothing where none names one."""
    if run.images.vectors is None and not run.images.refused:
        return {}
    images = {
        "items": len(run.whole.texts),
        "with_image": sum(VECTOR in row for row in run.whole.features),
        "refused": dict(sorted(run.images.refused.items(), key=lambda one: -one[1])[:20]),
    }
    return {"images": images, "ablation": _ablation(run, both)}


def _ablation(run: LabelRun, both: JudgedLabels) -> list[dict[str, Any]]:
    if run.images.vectors is None or "images" not in getattr(run.algorithm, "reads", ()):
        return []
    rows = []
    if both.fit_seconds <= MAX_SECONDS:
        for name, without in ((TEXT, _without_images), (IMAGE, _without_texts)):
            part = replace(run, earlier=without(run.earlier), held_out=without(run.held_out))
            rows.append(_row(name, part.judge(part.fit_aside(part.earlier))))
    return [*rows, _row(BOTH, both)]


def _row(reads: str, judged: JudgedLabels) -> dict[str, Any]:
    return {"reads": reads, "figures": {name: judged.scores.mean(name) for name in SHOWN}}


def _without_images(data: LabelledData) -> LabelledData:
    return replace(data, features=without_images(data.features), image_encoder="")


def _without_texts(data: LabelledData) -> LabelledData:
    """One text for all: who reads it learns nothing from it."""
    return replace(data, texts=[""] * len(data.texts))
