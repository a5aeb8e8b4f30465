"""Methods of planning: units, detectable effects and inflation."""

from __future__ import annotations

from experiments.stats import power
from tests.conformance.golden.inputs import Inputs, Output, level


def n_proportions(inputs: Inputs, _: Inputs) -> Output:
    def units(*, pooled: bool) -> float:
        return power.units_for_proportions(
            inputs["p1"], inputs["p2"], alpha=level(inputs), power=inputs["power"],
            ratio=inputs.get("ratio", 1), pooled=pooled,
        )  # fmt: skip

    return {"n_per_arm_pooled": units(pooled=True), "n_per_arm_unpooled": units(pooled=False)}


def n_means(inputs: Inputs, _: Inputs) -> Output:
    n = power.units_for_means(
        inputs["delta"],
        inputs["sd"],
        alpha=level(inputs),
        power=inputs["power"],
        ratio=inputs.get("ratio", 1),
    )
    return {"n_per_arm_z": n}


def mde(inputs: Inputs, _: Inputs) -> Output:
    return {
        "mde": power.detectable_mean(
            inputs["n_per_arm"], inputs["sd"], alpha=inputs["alpha"], power=inputs["power"]
        )
    }


def cuped_n(inputs: Inputs, _: Inputs) -> Output:
    factor = power.cuped_factor(inputs["rho"])
    n = power.units_for_means(
        inputs["delta"], inputs["sd"], alpha=inputs["alpha"], power=inputs["power"]
    )
    return {"rho": inputs["rho"], "n_factor": factor, "n_per_arm": n * factor}


def inflation(inputs: Inputs, _: Inputs) -> Output:
    looks = inputs.get("K") or int(inputs["canonical"].removeprefix("K"))
    plan = power.design(
        "group_sequential", alpha=inputs["alpha"], power=inputs["power"], looks=looks,
        spending=inputs["spending"],
    )  # fmt: skip
    return {"inflation": plan.inflation, "drift": plan.drift, "last_z": plan.final_bound}
