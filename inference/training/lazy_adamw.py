"""AdamW whose step costs what its rows cost: of a table of items, only the rows that a step has read.

A step of a sampled loss reads some thousands of a million rows, and the gradient of all others is
nothing. AdamW goes over them too, so that their moments and their weights decay. Here a
row's moments stand still while nobody reads it (as in torch's SparseAdam), and the decay that its
weights have missed is made up for when it is read next, or at the end by `settle`: a row shrinks by
exp(−decay · Σ rate) over the steps that it was not read, which is what AdamW does up to second order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


class LazyAdamW(torch.optim.AdamW):
    """AdamW; a parameter whose gradient is sparse is updated by rows.

    State of such a parameter, (n, d): `exp_avg` and `exp_avg_sq`, (n, d); `step`, of all steps;
    `decayed`, the sum of decay times rate so far; `row_decayed`, of it what each row has had, (n,).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Update the rows that have a gradient, and the other parameters as AdamW does."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is not None and gradient.is_sparse:
                    # Coalesced: a row once, its parts summed.
                    self._step_rows(parameter, gradient.coalesce(), group)
                    parameter.grad = None  # AdamW takes no sparse one
        return super().step(closure)

    @torch.no_grad()
    def settle(self) -> None:
        """Let every row's weights have the decay that they have missed."""
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state.get(parameter, {})
                if "row_decayed" in state:
                    missed = state["decayed"] - state["row_decayed"]
                    parameter.mul_(torch.exp(-missed)[:, None])
                    state["row_decayed"].copy_(state["decayed"].expand_as(missed))

    def _step_rows(
        self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]
    ) -> None:
        state, rate = self.state[parameter], group["lr"]
        if not state:
            state["step"] = torch.zeros((), device="cpu")  # as in AdamW: it is read at every step
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(parameter) for _ in range(2))
            state["decayed"] = torch.zeros((), device=parameter.device)
            state["row_decayed"] = torch.zeros(len(parameter), device=parameter.device)
        rows, values = gradient.indices()[0], gradient.values()
        state["step"] += 1
        state["decayed"] += group["weight_decay"] * rate
        missed = state["decayed"] - state["row_decayed"][rows]
        state["row_decayed"][rows] = state["decayed"].expand_as(missed)
        (beta1, beta2), step = group["betas"], state["step"].item()
        mean = state["exp_avg"][rows].lerp_(values, 1 - beta1)
        square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(values, values, value=1 - beta2)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        spread = square.sqrt_().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
        decayed = parameter[rows] * torch.exp(-missed)[:, None]
        parameter[rows] = decayed.addcdiv_(mean, spread, value=-rate / (1 - beta1**step))
