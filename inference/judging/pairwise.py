"""A judge that compares two answers, each pair twice with sides swapped."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from inference.judging.completion import ask_version
from inference.judging.questions import (
    JudgeAnswerError,
    compare_sides,
    conversation_text,
    cut_text,
    is_pairwise,
    read_preference,
    read_score,
    variables_for,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.judging.purse import Purse
    from inference.judging.questions import Preference
    from inference.serving.prompts import Prompt


@dataclass(slots=True)
class PairJudge:
    """A judge of pairs; one that takes a single answer scores both, and the higher score is preferred.

    Attributes:
        prompt: the judge.
        label: its name.
        project: slug of the project that asks.
        rubric: what makes an answer good.
        points: of the scale, for a judge that takes a single answer.
        purse: who pays.
        cost: of all its answers so far.
        failures: pairs of which it gave no usable verdict; they count nowhere.
    """

    prompt: Prompt
    label: str
    project: str
    rubric: str
    points: int
    purse: Purse | None = None
    cost: float = 0.0
    failures: int = 0
    _values: dict[str, Any] = field(default_factory=dict)

    def prefer_all(self, pairs: Sequence[tuple[Sequence[tuple[str, str]], str, str]]) -> list[float]:
        """Return the preference of each pair: 1 the first answer, 0 the second, 1/2 none.

        Args:
            pairs: conversation as roles and texts, first answer, second answer.

        Raises:
            NoCompletionError: no provider answers.
            BudgetSpentError: nothing is left to pay it.
        """
        preferences = []
        for conversation, first, second in pairs:
            try:
                preferences.append(self._prefer(conversation, first, second))
            except JudgeAnswerError:
                self.failures += 1
        return preferences

    def _prefer(self, conversation: Sequence[tuple[str, str]], first: str, second: str) -> float:
        if first == second:
            return 0.5
        values = {"rubric": self.rubric, "conversation": conversation_text(conversation)}
        if is_pairwise(self.prompt):
            return compare_sides(partial(self._compare, values), first, second)[0]
        scores = [self._score(values, text) for text in (first, second)]
        return 0.5 + 0.5 * ((scores[0] > scores[1]) - (scores[0] < scores[1]))

    def _compare(self, values: dict[str, Any], a: str, b: str) -> tuple[Preference, str]:
        return read_preference(self._ask(values | {"answer_a": a, "answer_b": b}))

    def _score(self, values: dict[str, Any], text: str) -> float:
        answer = self._ask(values | {"points": self.points, "answer": cut_text(text)})
        return read_score(answer, self.points).value

    def _ask(self, values: dict[str, Any]) -> str:
        completion = ask_version(
            self.prompt,
            project=self.project,
            variables=variables_for(self.prompt, values),
            purse=self.purse,
        )
        self.cost += completion.cost
        return completion.text
