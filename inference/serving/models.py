"""Open any version: what serves in this process, and what is remote.

A recommender ranks by a `Ranker`, a classifier labels by a `TextClassifier`, a `Prompt` says what a
language model is asked. Forms that do not fit a
web process are remote: `encoder`, `onnx` and `python` answer in a worker, `endpoint` over HTTP; of
those the web process knows the items or labels, and what to answer in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inference.serving.artifact import check_artifact, form_of
from inference.serving.linear_policy import LINEAR_POLICY, LinearPolicy
from inference.serving.near_items import NEAR_FILES
from inference.serving.onnx_model import ONNX
from inference.serving.prompts import PROMPT, Prompt
from inference.serving.ranker import Ranker
from inference.serving.text_classifiers import ENCODER, TERMS, TextClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PYTHON, ENDPOINT = "python", "endpoint"
IMPORTED = "imported"  # the algorithm of a model whose file came from elsewhere
REMOTE_FORMS = (ENCODER, ONNX, PYTHON, ENDPOINT)
DEADLINE_MS = 500  # a visitor notices more; a version may say another
MAX_COST = 1e6  # of an answer, in money: more than anybody pays


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A version whose scores come from a worker or over HTTP.

    Attributes:
        digest: of its artifact.
        form: encoder, onnx, python or endpoint.
        deadline_ms: how long it may take.
        url: of an endpoint.
        protocol: of an endpoint: `json`, `v2` for the Open Inference Protocol, or `mlflow`.
        cost_per_answer: in money.
    """

    digest: str
    form: str
    deadline_ms: int = DEADLINE_MS
    url: str = ""
    protocol: str = "json"
    cost_per_answer: float = 0.0

    @classmethod
    def of(cls, digest: str, form: str, about: Mapping[str, Any]) -> RemoteModel:
        """Read what a manifest says."""
        return cls(
            digest=digest,
            form=form,
            deadline_ms=int(about.get("deadline_ms", DEADLINE_MS)),
            url=str(about.get("url", "")),
            protocol=str(about.get("protocol", "json")),
            cost_per_answer=float(about.get("cost_per_answer", 0.0)),
        )


@dataclass(frozen=True, slots=True)
class Labels:
    """What a web process knows of a classifier.

    Attributes:
        labels: in the order of scores.
        prior: each label's share of what was learnt from: the answer when there is no other.
        classifier: labels in this process; None when the model is remote.
    """

    labels: Sequence[str]
    prior: Sequence[float]
    classifier: TextClassifier | None


@dataclass(frozen=True, slots=True)
class Model:
    """An opened version.

    Attributes:
        ranker: of a recommender.
        labels: of a classifier.
        remote: where scores come from; None when this process computes them.
        prompt: of a version that generates.
        policy: of a version that chooses among actions.
    """

    ranker: Ranker | None = None
    labels: Labels | None = None
    remote: RemoteModel | None = None
    prompt: Prompt | None = None
    policy: LinearPolicy | None = None


def open_model(root: Path, digest: str) -> Model:
    """Load and check an artifact.

    Raises:
        ArtifactError: it is missing or damaged.
        PromptError: what it says of a prompt breaks a rule.
    """
    folder, manifest = check_artifact(root, digest, spare=NEAR_FILES)
    form, about = form_of(manifest), manifest["about"]
    if form == PROMPT:
        return Model(prompt=Prompt.parse(about))
    if form == LINEAR_POLICY:
        return Model(policy=LinearPolicy.open(folder, about))
    remote = RemoteModel.of(digest, form, about) if form in REMOTE_FORMS else None
    if "labels" in about:
        labels = Labels(
            labels=about["labels"],
            prior=about["prior"],
            classifier=TextClassifier(root, digest) if form == TERMS else None,
        )
        return Model(labels=labels, remote=remote)
    return Model(ranker=Ranker(root, digest), remote=remote)
