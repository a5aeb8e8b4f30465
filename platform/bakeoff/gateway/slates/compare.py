"""`POST /v1/compare`: the slates of control and treatment side by side, for people who judge them.

Never an exposure: who sees both sides is in no variant.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.slates.choose_version import ChosenVersion, find_surface, with_rules_of
from bakeoff.gateway.slates.recommend import RECOMMEND
from bakeoff.gateway.slates.recorder import slate_row
from inference.serving.ladder import ServedSlate

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import SurfaceConfig
    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.slates.recommend import Recommending
    from bakeoff.gateway.slates.recorder import Recorder
    from bakeoff.gateway.slates.requests import RecommendRequest
    from bakeoff.gateway.slates.visitors import Visitors
    from experiments.assignment import RunningExperiment, RunningVariant

_NO_SLATE = ServedSlate(slots=(), fallback=None, candidate_count=0, candidate_hash="")
# Forced: a slate of a comparison belongs to no variant and to no analysis of one.
_PAIRWISE = ChosenVersion(None, None, None, "PAIRWISE", forced=True)


class CompareHandler:
    """Answers comparisons; one in a process."""

    def __init__(self, recommending: Recommending, visitors: Visitors, recorder: Recorder) -> None:
        """Remember who serves both sides."""
        self._recommending, self._visitors, self._recorder = recommending, visitors, recorder
        self._rng = np.random.default_rng()

    async def answer(self, call: Call, request: RecommendRequest) -> bytes:
        """Answer with both slates, on sides that the server draws.

        Raises:
            ApiError: the request breaks a rule, or no experiment runs on the surface.
        """
        started = time.perf_counter()
        surface = find_surface(call.config, call.caller.key, request.surface, RECOMMEND)
        experiment = _experiment_on(surface)
        visitor = await self._visitors.identify(call, surface, request)
        if not visitor.consent.analytics:
            raise ApiError(400, "no_consent", "consent.analytics == false, must be true to compare.")
        treatment, variants = self._draw_sides(experiment)
        sides = {}
        # One after the other: both draw from one generator, and a comparison is no hot path.
        for side, variant in zip("ab", variants, strict=True):
            version = call.config.version_of(variant)
            of_side = with_rules_of(call.config, variant, visitor)
            served = await self._recommending.serve_version(request, of_side, version)
            sides[side] = (variant, served.slate)
        row = slate_row(
            visitor,
            _PAIRWISE,
            _NO_SLATE,
            latency_ms=(time.perf_counter() - started) * 1000,
            exploration=surface.exploration,
            context=request.context,
        )
        row.pair = _pair(experiment, treatment, sides)
        await self._recorder.record_pair(row)
        items = {
            side: {"items": self._recommending.shown_items(request, visitor, slate)}
            for side, (_, slate) in sides.items()
        }
        return orjson.dumps(
            {"recommendation_id": row.recommendation_id, "surface": surface.key, **items}
        )

    def _draw_sides(
        self, experiment: RunningExperiment
    ) -> tuple[RunningVariant, tuple[RunningVariant, RunningVariant]]:
        """Draw a treatment, and which of it and control is left: people prefer a side."""
        control, *treatments = experiment.variants.values()
        treatment = treatments[self._rng.integers(len(treatments))]
        left_is_control = self._rng.random() < 0.5
        return treatment, (control, treatment) if left_is_control else (treatment, control)


def _experiment_on(surface: SurfaceConfig) -> RunningExperiment:
    if not surface.tests:
        raise ApiError(
            409,
            "nothing_to_compare",
            f"surface '{surface.key}' has no running experiment, must have one.",
            field="surface",
        )
    return surface.tests[0]


def _pair(
    experiment: RunningExperiment,
    treatment: RunningVariant,
    sides: dict[str, tuple[RunningVariant, ServedSlate]],
) -> dict[str, Any]:
    """Return what is stored of both sides."""
    treatment_side = next(side for side, (variant, _) in sides.items() if variant is treatment)
    return {
        "experiment_id": experiment.experiment_id,
        "treatment": treatment_side,
        **{
            side: {
                "variant_id": variant.variant_id,
                "items": [slot.item_id for slot in slate.slots],
            }
            for side, (variant, slate) in sides.items()
        },
    }
