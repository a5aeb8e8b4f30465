"""What pages call the hyper-parameters of algorithms.

One that has no name here, a package's for instance, is shown by its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext, gettext_noop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAM_NAMES = {
    "algorithms": gettext_noop("Algorithms to try"),
    "alpha": gettext_noop("Weight of a positive signal"),
    "base": gettext_noop("Local model to train"),
    "batch": gettext_noop("Rows per step"),
    "beta": gettext_noop("Pull towards the original model (β)"),
    "blend": gettext_noop("Try a blend of the best two"),
    "blocks": gettext_noop("Attention blocks"),
    "budget_seconds": gettext_noop("Time for all of them (s)"),
    "calibration": gettext_noop("Calibration of the sampled loss"),
    "candidates": gettext_noop("Items per softmax step"),
    "class_weight": gettext_noop("Weight of rare labels"),
    "clip": gettext_noop("Largest gradient of a user"),
    "cold": gettext_noop("Weight of similar texts for new items"),
    "context": gettext_noop("Read the request's context"),
    "context_dropout": gettext_noop("Share of users with hidden context"),
    "cooccurrence": gettext_noop("Start from co-occurrence"),
    "decay": gettext_noop("Weight decay"),
    "delta": gettext_noop("Privacy δ (0: a tenth of one over the users)"),
    "dislike": gettext_noop("Weight of a negative signal"),
    "dropout": gettext_noop("Dropout"),
    "epochs": gettext_noop("Passes over the data"),
    "epsilon": gettext_noop("Privacy ε"),
    "factors": gettext_noop("Factors"),
    "half_life_days": gettext_noop("Half-life (days; 0: none)"),
    "head_epochs": gettext_noop("Passes of the heads"),
    "head_rate": gettext_noop("Learning rate of the head"),
    "heads": gettext_noop("Attention heads"),
    "hidden": gettext_noop("Hidden layer width"),
    "history": gettext_noop("Recent items read"),
    "inverse_l2": gettext_noop("Inverse regularisation (C)"),
    "iterations": gettext_noop("Iterations"),
    "keep": gettext_noop("Weights kept per item"),
    "l2": gettext_noop("Regularisation (λ)"),
    "least": gettext_noop("Fewest texts with a term"),
    "max_steps": gettext_noop("Maximum steps"),
    "max_tokens": gettext_noop("Maximum tokens of a conversation"),
    "method": gettext_noop("Weights that learn"),
    "min_steps": gettext_noop("Minimum steps"),
    "most": gettext_noop("Terms kept"),
    "most_steps": gettext_noop("Maximum steps"),
    "negatives": gettext_noop("Sampled items per step"),
    "neighbours": gettext_noop("Neighbours per item"),
    "objective": gettext_noop("Objective"),
    "own": gettext_noop("Spread of the items' own vectors"),
    "passes": gettext_noop("Passes over the users"),
    "rank": gettext_noop("Rank of the adapters"),
    "rate": gettext_noop("Learning rate"),
    "recency": gettext_noop("Learn how old an item is"),
    "ridge": gettext_noop("Regularisation (rows; 0: learnt)"),
    "search": gettext_noop("Draws of parameters per algorithm"),
    "shrink": gettext_noop("Shrinkage of rare pairs"),
    "steps": gettext_noop("Steps"),
    "temperature": gettext_noop("Temperature"),
    "user_examples": gettext_noop("Examples read per user"),
    "views": gettext_noop("Two readings of a text"),
    "width": gettext_noop("Width"),
}

# Values of parameters that are one of some; names of methods are the same in every language.
CHOICE_NAMES = {
    "full": gettext_noop("All weights"),
    "lora": "LoRA",
    "adalora": "AdaLoRA",
    "simcse": "SimCSE",
    "tsdae": "TSDAE",
    "dropout": gettext_noop("Dropout"),
    "crop": gettext_noop("Random spans"),
    "none": gettext_noop("None"),
    "balanced": gettext_noop("Balanced"),
}


def name_of_choice(value: str) -> str:
    """Return what pages call a value that can be chosen; the value itself where it has no name."""
    return gettext(CHOICE_NAMES[value]) if value in CHOICE_NAMES else value


def name_of_param(name: str) -> str:
    """Return what pages call a hyper-parameter, in the reader's language."""
    return gettext(PARAM_NAMES[name]) if name in PARAM_NAMES else name


def write_params(params: Mapping[str, Any]) -> str:
    """Return hyper-parameters on one line, a blend's parts as a sum."""
    rest = dict(params)
    sums = []
    if isinstance(parts := rest.get("parts"), list) and parts:
        del rest["parts"]
        sums.append(_write_blend(parts, rest.pop("weights", [])))
    return ", ".join([*sums, *(f"{name} = {_write_value(value)}" for name, value in rest.items())])


def _write_blend(parts: Sequence[Any], weights: Sequence[float]) -> str:
    factors = (
        [f"{weight:.3g} × " for weight in weights] if len(weights) == len(parts) else [""] * len(parts)
    )
    return " + ".join(factor + _write_part(part) for factor, part in zip(factors, parts, strict=True))


def _write_part(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    own = write_params(part.get("params", {}))
    return f"{part.get('algorithm')} ({own})" if own else str(part.get("algorithm"))


def _write_value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_write_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
