"""A decision policy from a command's options."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.stats.policy import Policy


def read_policy(text: str, *, rule: str, alpha: float, **defaults: Any) -> Policy:
    """Return the policy of a rule; fields of the JSON text win over the command's defaults.

    Raises:
        PolicyError: the text is no JSON object, or a field breaks its rule.
    """
    from experiments.stats.policy import Policy, PolicyError

    try:
        fields = json.loads(text)
    except json.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise PolicyError(f"policy == '{text}', must be a JSON object.")
    # The default reserve would not fit below a small alpha.
    reserve = {"reserve": alpha / 10} if 0 < alpha < 1 else {}
    return Policy.parse({"rule": rule, "alpha": alpha, **defaults, **reserve, **fields})
