"""How good a prompt's answer to one request is: what its assertions and the judge say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from inference.judging.assertions import CheckedAnswer, parse_assertions
from inference.judging.completion import NoCompletionError
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
from inference.serving.prompts import VariablesError
from inference.serving.templates import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from inference.judging.assertions import Assertion
    from inference.judging.questions import Preference
    from inference.runs.remembered_answers import RememberedAnswers
    from inference.serving.prompts import Prompt

Opinion = TypeVar("Opinion")
READS = 2  # times that an unreadable answer of the judge is asked for


@dataclass(frozen=True, slots=True)
class Question:
    """One request.

    Attributes:
        messages: the conversation.
        variables: of the templates.
        assertions: what the answer must hold.
        answer: that was given once; empty where none was.
        comment: what came of it, in sentences.
    """

    messages: Sequence[Mapping[str, Any]]
    variables: Mapping[str, Any]
    assertions: tuple[Assertion, ...]
    answer: str
    comment: str

    @classmethod
    def parse(
        cls,
        messages: Sequence[Mapping[str, Any]],
        variables: Mapping[str, Any],
        assertions: list[dict[str, Any]],
        *,
        answer: str = "",
        comment: str = "",
    ) -> Question:
        """Read a row of a snapshot."""
        return cls(messages, variables, parse_assertions(assertions), answer, comment)

    @property
    def text(self) -> str:
        """The conversation as a judge reads it."""
        pairs = [(str(one.get("role")), str(one.get("content") or "")) for one in self.messages]
        named = [(name, str(value)) for name, value in self.variables.items()]
        return conversation_text([*named, *pairs])


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """An answer with what was found.

    Attributes:
        score: in [0, 1].
        text: of the answer; empty where there is none.
        remarks: what is wrong with it, in sentences.
    """

    score: float
    text: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptScorer:
    """Scores answers.

    Attributes:
        models: whom versions and the judge are asked through.
        champion: whose answers a judge of pairs compares with.
        judge: the judge, or None.
        rubric: what makes an answer good.
        points: of the judge's scale.
    """

    models: RememberedAnswers
    champion: Prompt
    judge: Prompt | None
    rubric: str
    points: int

    def score(self, prompt: Prompt, question: Question) -> ScoredAnswer:
        """Let a prompt answer, and score it.

        Raises:
            BudgetSpentError: nothing is left.
            NoCompletionError: the judge does not answer.
        """
        try:
            answer = self._answer(prompt, question)
        except (NoCompletionError, VariablesError, TemplateError) as error:
            return ScoredAnswer(0.0, "", (f"There was no answer: {error}",))
        if not answer.text.strip():
            return ScoredAnswer(0.0, "", ("The answer was empty.",))
        parts, remarks = [], []
        if question.assertions:
            failed = [one for one in question.assertions if not one.holds(answer)]
            parts.append(1 - len(failed) / len(question.assertions))
            remarks += [f"The answer breaks the rule {one.type} {one.value!r:.400}." for one in failed]
        if self.judge is not None and (opinion := self._judge(self.judge, question, answer.text)):
            parts.append(opinion[0])
            remarks.append(opinion[1])
        # What neither rules nor judge can say anything of speaks neither for nor against a prompt.
        return ScoredAnswer(sum(parts) / len(parts) if parts else 0.5, answer.text, tuple(remarks))

    def _answer(self, prompt: Prompt, question: Question) -> CheckedAnswer:
        known = {
            name: question.variables[name] for name in prompt.variables if name in question.variables
        }
        one = self.models.ask(prompt, variables=known, messages=question.messages)
        return CheckedAnswer(one.text, one.cost, one.latency_ms)

    def _judge(self, judge: Prompt, question: Question, text: str) -> tuple[float, str] | None:
        """Return the judge's score and a sentence; None where it gives none that can be read."""
        values = {"rubric": self.rubric, "points": self.points, "conversation": question.text}
        try:
            if is_pairwise(judge):
                return self._prefer(judge, values, question, text)
            return self._read(judge, values | {"answer": cut_text(text)}, self._read_score)
        except JudgeAnswerError:
            return None

    def _prefer(
        self, judge: Prompt, values: dict[str, Any], question: Question, text: str
    ) -> tuple[float, str] | None:
        try:
            other = self._answer(self.champion, question).text
        except (NoCompletionError, VariablesError, TemplateError):
            return None
        if other == text:
            return 0.5, "The champion answers the same."

        def compare(a: str, b: str) -> tuple[Preference, str]:
            return self._read(judge, values | {"answer_a": a, "answer_b": b}, read_preference)

        score, why = compare_sides(compare, text, other)
        verdict = {1.0: "better than", 0.0: "worse than"}.get(score, "as good as")
        return score, f"A judge finds it {verdict} the champion's. {why}"

    def _read_score(self, text: str) -> tuple[float, str]:
        score = read_score(text, self.points)
        return score.value, f"A judge gave it {score.value:.2f} of 1. {score.rationale}"

    def _read(self, judge: Prompt, values: dict[str, Any], read: Callable[[str], Opinion]) -> Opinion:
        """Ask the judge, once more where its answer cannot be read.

        Raises:
            JudgeAnswerError: neither can be read.
        """
        variables = variables_for(judge, values)
        for attempt in range(READS):
            try:
                return read(self.models.ask(judge, variables=variables, attempt=attempt).text)
            except JudgeAnswerError:
                if attempt + 1 == READS:
                    raise
        raise AssertionError("unreachable")
