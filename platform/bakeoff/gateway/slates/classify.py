"""Classifications: label a text by a version's classifier, or by what stands in for it.

The text is stored with the slate, redacted as feedback is, so that a correction of the answer becomes
an example to learn from. The model sees the text as it came.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.slates.answer import KindAnswer
from bakeoff.gateway.slates.remote_scorer import RemoteError
from experiments.ingest.redact import redact
from inference.serving.example_images import address_of
from inference.serving.label_costs import table_of
from inference.serving.ladder import ServedSlate, Slot
from inference.serving.models import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.http.text_threads import TextThreads
    from bakeoff.gateway.slates.choose_version import ChosenVersion
    from bakeoff.gateway.slates.remote_scorer import RemoteScorer
    from bakeoff.gateway.slates.requests import ClassifyRequest
    from bakeoff.gateway.slates.visitors import Visitor
    from inference.serving.label_costs import LabelCosts, LabelDecision
    from inference.serving.models import Labels, Model

CLASSIFY = "classify"


class Classifying:
    """Serves surfaces of the kind `classify`; one in a process."""

    name = CLASSIFY

    def __init__(self, remote: RemoteScorer, text_threads: TextThreads) -> None:
        """Remember who labels what this process cannot, and where long texts are redacted."""
        self._remote, self._text_threads = remote, text_threads

    async def serve(
        self, request: ClassifyRequest, visitor: Visitor, chosen: ChosenVersion
    ) -> KindAnswer:
        """Return labels by a version, or by what stands in for it."""
        version = chosen.version
        static_list = visitor.surface.static_list[: request.k]
        decision = None
        if version is None:
            slate = _slate(static_list, [0.0] * request.k, "no_champion", 0)
        elif version.model is None or version.model.labels is None:
            slate = _slate(static_list, [0.0] * request.k, "model_unavailable", 0)
        else:
            slate, decision = await self._label(
                request,
                version.model,
                labels=version.model.labels,
                question=_question(request, visitor),
                version_id=version.version_id,
                costs=visitor.surface.costs,
            )
        question = _question(request, visitor)
        return KindAnswer(
            slate,
            0.0,
            lambda: question,
            fields=_decision_fields(decision, static_list, visitor.surface.costs),
            # Also where there is none: a context of the product must not pass for one.
            recorded={"decision": decision.recorded() if decision is not None else None},
        )

    async def recorded_context(self, request: ClassifyRequest) -> dict[str, Any]:
        """Return what the product said, with the redacted text."""
        text, redacted = await self._text_threads.run(partial(redact, request.text))
        context = {**request.context, "text": text, "features": request.features}
        return {**context, "redacted": redacted} if redacted else context

    def body(self, request: ClassifyRequest, visitor: Visitor, slate: ServedSlate) -> dict[str, Any]:  # noqa: ARG002
        """Return the labels."""
        return {"labels": [{"label": slot.item_id, "score": slot.score} for slot in slate.slots]}

    async def _label(
        self,
        request: ClassifyRequest,
        model: Model,
        *,
        labels: Labels,
        question: dict[str, Any],
        version_id: int,
        costs: LabelCosts,
    ) -> tuple[ServedSlate, LabelDecision]:
        """Label by a loaded version, or answer with its prior and say why."""
        scores, fallback, cost = labels.prior, None, None
        if labels.classifier is not None:
            scores = labels.classifier.probabilities([request.text], [request.features])[0].tolist()
        elif model.remote is not None:
            if model.remote.form == ENDPOINT:  # which reads the features, and the address among them
                question = {"text": request.text, "features": request.features}
            count = len(labels.labels)
            try:
                answer = await self._remote.answer(version_id, model.remote, question, count)
                scores, cost = answer.scores, answer.cost
            except RemoteError as error:
                fallback = str(error)
        # Stable: of labels with one score, the first one of the version's own order.
        order = np.argsort(-np.asarray(scores), kind="stable")[: request.k].tolist()
        names = [labels.labels[i] for i in order]
        slate = _slate(names, [scores[i] for i in order], fallback, len(labels.labels))
        decision = table_of(costs, tuple(labels.labels)).decide(np.asarray(scores, dtype=np.float32))
        return slate._replace(cost=cost), decision


def _question(request: ClassifyRequest, visitor: Visitor) -> dict[str, Any]:
    """Return what a worker is asked: whose the image is, too, where the features name one."""
    question: dict[str, Any] = {"text": request.text, "features": request.features}
    if address_of(request.features):
        key = visitor.key
        question |= {"project": key.project_id, "notes_image": key.kind == SECRET}
    return question


def _decision_fields(
    decision: LabelDecision | None, static_list: Sequence[str], costs: LabelCosts
) -> dict[str, Any]:
    """Return what the answer says of its decision.

    A static list has no probabilities: its first label is the decision, unless a person can be asked.
    """
    if decision is not None:
        return {
            "decision": decision.label,
            "abstained": decision.label is None,
            "expected_cost": decision.expected_cost,
        }
    abstained = costs.abstain is not None
    first = static_list[0] if static_list and not abstained else None
    return {"decision": first, "abstained": abstained, "expected_cost": None}


def _slate(
    labels: Sequence[str], scores: Sequence[float], fallback: str | None, count: int
) -> ServedSlate:
    slots = [
        Slot(item_id=label, score=round(float(score), 6), rank=rank, propensity=1.0, explored=False)
        # A static list may be shorter than the labels that were asked for.
        for rank, (label, score) in enumerate(zip(labels, scores, strict=False), start=1)
    ]
    return ServedSlate(slots=slots, fallback=fallback, candidate_count=count, candidate_hash="")
