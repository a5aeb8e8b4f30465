"""A survey that is on: whom it asks after a slate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.assignment import Targeting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.survey_question import SurveyQuestion


@dataclass(frozen=True, slots=True)
class OpenSurvey:
    """A question, and the saved groups that its condition names.

    Raises:
        ConditionError: the condition is malformed.
    """

    question: SurveyQuestion
    groups: Mapping[str, Any]
    _targeting: Targeting = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the condition once, not per request."""
        targeting = Targeting(self.question.condition, self.groups)
        object.__setattr__(self, "_targeting", targeting)

    def asks(self, unit: str, attributes: Mapping[str, Any], variant: str | None) -> bool:
        """Whether a user is asked.

        Args:
            unit: the user.
            attributes: of the request.
            variant: EXPERIMENT/VARIANT of the user on this surface; None: in no experiment.
        """
        question = self.question
        if question.variants and variant not in question.variants:
            return False
        return question.is_for(unit) and self._targeting.passes(unit, attributes, {})
