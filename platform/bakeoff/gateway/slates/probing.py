"""Answer a question with a version that does not serve yet, as a request would be answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.gateway.slates.remote_scorer import RemoteError, RemoteScorer
from inference.providers import read_providers
from inference.serving.ladder import serve
from inference.serving.probes import ProbeResult
from inference.serving.slate_request import SlateRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bakeoff.gateway.config.versions import ServingVersion
    from inference.serving.linear_policy import LinearPolicy
    from inference.serving.models import Labels, Model
    from inference.serving.prompts import Prompt
    from inference.serving.ranker import Ranker

UNIT = "bakeoff-probe"
TEXT = "Where is my order?"
# As many as a page shows: a version that can fill ten slots can serve.
K = 10


class NoAnswerError(Exception):
    """A version that was loaded and gave no answer; the message says why."""


async def probe(version: ServingVersion, problem: str, nonce: str, remote: RemoteScorer) -> ProbeResult:
    """Let a version answer one question.

    Args:
        version: loaded, or not.
        problem: why its artifact cannot be loaded, if so.
        nonce: of the probe.
        remote: asks models that this process does not hold.
    """
    if version.model is None:
        return ProbeResult(nonce, problem or "it is not loaded.", final=True)
    start = time.perf_counter()
    try:
        if version.model.labels is not None:
            await _label(version.model, version.model.labels, remote)
        elif version.model.ranker is not None:
            await _rank(version.model, version.model.ranker, remote)
        elif version.model.prompt is not None:
            _check_prompt(version.model.prompt)
        elif version.model.policy is not None:
            _choose(version.model.policy)
    except (NoAnswerError, RemoteError) as error:
        return ProbeResult(nonce, f"it gave no answer: {error}.")
    except Exception as error:  # noqa: BLE001  whatever a model raises, its traffic would meet too
        return ProbeResult(nonce, f"it gave no answer: {type(error).__name__}: {error}.")
    return ProbeResult(nonce, milliseconds=(time.perf_counter() - start) * 1000)


async def _label(model: Model, labels: Labels, remote: RemoteScorer) -> None:
    if model.remote is not None:
        question: Mapping[str, Any] = {"text": TEXT, "features": {}}
        await remote.probe(model.remote, question, len(labels.labels))
        return
    if labels.classifier is None:
        raise NoAnswerError("nothing labels here")
    (row,) = await asyncio.to_thread(labels.classifier.probabilities, [TEXT], [{}])
    if len(row) != len(labels.labels) or not np.isfinite(row).all():
        raise NoAnswerError(f"probabilities == {len(row)} numbers, must be {len(labels.labels)} finite")


def _check_prompt(prompt: Prompt) -> None:
    """Refuse a prompt whose providers are not declared here; none is asked, which would cost money."""
    unknown = [one.provider for one in prompt.chain if one.provider not in read_providers()]
    if unknown:
        raise NoAnswerError(f"provider '{unknown[0]}' is not declared in this process")


def _choose(policy: LinearPolicy) -> None:
    """Let a policy choose between two equal actions, as they were in the mean when it learnt."""
    shares = policy.prefer(policy.space.example(2), np.random.default_rng(0)).shares
    if not np.isfinite(shares).all():
        raise NoAnswerError("its shares are not finite")


async def _rank(model: Model, ranker: Ranker, remote: RemoteScorer) -> None:
    if ranker.order is not None:
        return  # what it serves is in no artifact: that this one was opened is all that can be tried
    recent = [ranker.item_ids[i] for i in ranker.default_order[:2].tolist()]
    if model.remote is not None:
        names = [ranker.item_ids[i] for i in ranker.default_order.tolist()][:200]
        question = {"unit_id": UNIT, "recent": recent, "candidates": names, "context": {}}
        await remote.probe(model.remote, question, len(names))
        return
    # A unit with a history and one without take different steps of the ladder: both must work.
    for history in ([], recent):
        slate_request = SlateRequest(
            k=K,
            recent=history,
            precomputed=None,
            exclude=(),
            only=None,
            static_list=(),
            max_candidates=200,
            temperature=0.0,
        )
        served = await asyncio.to_thread(
            serve,
            ranker,
            slate_request,
            rng=np.random.default_rng(0),
            no_model_reason="model_unavailable",
        )
        if not served.slots and not history:
            raise NoAnswerError("its slate is empty")
