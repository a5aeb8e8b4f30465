"""`POST /v1/classify`: find the unit, assign, label, commit, answer.

The text is kept with the slate, redacted as feedback is, so that a correction of the answer becomes an
example to learn from. The model sees the text as it came.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from bakeoff.gateway.http import fields
from bakeoff.gateway.http.errors import invalid
from bakeoff.gateway.slates.recorder import find_surface, head_of, read_override, slate_row
from bakeoff.gateway.slates.remote_scorer import RemoteError
from experiments import bounds
from experiments.bounds import MAX_ID, MAX_TEXT, MAX_VALUE
from experiments.ingest.redact import redact
from inference.serving.ladder import ServedSlate, Slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.config.serving_config import ServingConfig, SurfaceConfig
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.http.caller import Caller
    from bakeoff.gateway.http.text_threads import Aside
    from bakeoff.gateway.slates.recorder import Recorder
    from bakeoff.gateway.slates.remote_scorer import RemoteScorer
    from bakeoff.gateway.slates.shadow import Shadows

KIND = "classify"
MAX_FEATURES = 500
MAX_LABELS = 100


class ClassifyHandler:
    """The handler; one in a process."""

    def __init__(
        self, recorder: Recorder, remote: RemoteScorer, shadows: Shadows, aside: Aside
    ) -> None:
        """Remember where to ask and write."""
        self._recorder, self._remote, self._shadows = recorder, remote, shadows
        self._aside = aside

    async def answer(self, config: ServingConfig, caller: Caller, data: dict[str, Any]) -> bytes:
        """Answer one request.

        Raises:
            ApiError: the request breaks a rule.
        """
        started = time.perf_counter()
        surface = find_surface(config, caller.key, data, KIND)
        forced = read_override(surface, caller.key, data, self._recorder.secret)
        text, features = _text(data), _features(data)
        k = fields.whole_number(data, "k", 5, min_value=1, max_value=MAX_LABELS)
        visitor = await self._recorder.read_visitor(config, caller, surface, data)
        route = await self._recorder.route(config, visitor, forced)
        served = await self._label(surface, route.version, text, features, k)
        latency_ms = (time.perf_counter() - started) * 1000
        slate = slate_row(visitor, route, served, latency_ms, 0.0)
        kept, found = await self._aside.run(partial(redact, text))
        slate.context = {**visitor.context, "text": kept, "features": features}
        if found:
            slate.context["redacted"] = found
        recorded = await self._recorder.record(visitor, route, slate)
        if recorded and surface.shadow_share:
            self._shadows.shadow_labels(visitor, route, slate, text)
        answer = {
            **head_of(route, slate, surface),
            "labels": [{"label": slot.item_id, "score": slot.score} for slot in served.slots],
        }
        if not recorded:
            answer["recorded"] = False
        return orjson.dumps(answer)

    async def _label(
        self,
        surface: SurfaceConfig,
        version: ServingVersion | None,
        text: str,
        features: dict[str, Any],
        k: int,
    ) -> ServedSlate:
        """Label, or answer with the version's prior, or with the surface's list, and say why."""
        if version is None:
            return _served(surface.static_list[:k], [0.0] * k, "no_champion", 0)
        labels = version.model.labels if version.model is not None else None
        if labels is None or version.model is None:
            return _served(surface.static_list[:k], [0.0] * k, "model_unavailable", 0)
        scores, fallback = labels.prior, None
        if labels.classifier is not None:
            scores = labels.classifier.probabilities([text], [features])[0].tolist()
        elif version.model.remote is not None:
            try:
                scores = await self._remote.scores(
                    version.version_id,
                    version.model.remote,
                    {"text": text, "features": features},
                    len(labels.labels),
                )
            except RemoteError as error:
                fallback = str(error)
        order = np.argsort(-np.asarray(scores), kind="stable")[:k].tolist()
        return _served(
            [labels.labels[i] for i in order], [scores[i] for i in order], fallback, len(labels.labels)
        )


def _served(
    labels: Sequence[str], scores: Sequence[float], fallback: str | None, count: int
) -> ServedSlate:
    slots = [
        Slot(item_id=label, score=round(float(score), 6), rank=rank, propensity=1.0, explored=False)
        for rank, (label, score) in enumerate(zip(labels, scores, strict=False), start=1)
    ]
    return ServedSlate(slots=slots, fallback=fallback, candidate_count=count, candidate_hash="")


def _text(data: dict[str, Any]) -> str:
    """Return the text; it may be empty where features say all."""
    value = bounds.text(data.get("text", ""), "text", max_length=MAX_TEXT, min_length=0)
    if not value.strip() and not data.get("features"):
        raise invalid("text", value, "a text, unless features say all")
    return value


def _features(data: dict[str, Any]) -> dict[str, Any]:
    found = fields.mapping(data, "features")
    if len(found) > MAX_FEATURES:
        raise invalid("features", f"{len(found)} of them", f"at most {MAX_FEATURES}")
    for name, value in found.items():
        if not 1 <= len(name) <= MAX_ID:
            raise invalid("features", name, f"named by 1 to {MAX_ID} characters")
        if isinstance(value, str):
            good = len(value) <= MAX_ID
        else:
            good = value is None or (isinstance(value, bool | int | float) and abs(value) <= MAX_VALUE)
        if not good:
            raise invalid(
                f"features.{name}", value, f"a number, true, false, null or {MAX_ID} characters"
            )
    return found
