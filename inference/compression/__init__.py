"""Smaller artifacts of a version: each is a version of its own, with its parent and its own gate.

`COMPRESSIONS` names the ways. Each takes the parent's draft, what it was trained on, and how far to go,
and returns a draft of the same form, which the gate refuses when it is not faster.
"""

from inference.compression.shrink import COMPRESSIONS

__all__ = ["COMPRESSIONS"]
