"""Policies over actions, learnt from decisions and their rewards; `POLICIES` names them."""

from inference.policies.linear import LinearFit, LinUcb, Thompson

POLICIES: dict[str, LinearFit] = {policy.name: policy for policy in (Thompson(), LinUcb())}

__all__ = ["POLICIES", "LinearFit"]
