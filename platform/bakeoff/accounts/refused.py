"""Refusals of actions: what was asked breaks a rule.

The message is a sentence of the form `value == x, must be y.` for programs and shells; pages show the
same fact in the words of their readers (`bakeoff.dashboard.refusals`).
"""

from __future__ import annotations


class RefusedError(Exception):
    """An action changed nothing, because what was asked breaks a rule.

    Attributes:
        field: the field that breaks it; None where no single one does.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        """Name the rule, and the field that breaks it."""
        super().__init__(message)
        self.field = field
