"""A better prompt for a surface, by reflective mutation: GEPA (Agrawal et al. 2025, arXiv 2507.19457).

A strong model reads some requests with what the present prompt answered and what rules, judge and
users made of it, and proposes another text. A proposal that does better on those requests is tried on
the data set; the best there comes out. It meets no user before its check and its experiment.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from inference.judging.completion import NoCompletionError
from inference.judging.purse import BudgetSpentError
from inference.runs.outcome import RunError
from inference.runs.prompt_scores import ScoredAnswer
from inference.serving.prompts import Prompt, PromptError
from inference.trace_context import TracedThreads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.runs.outcome import RunProgress
    from inference.runs.prompt_scores import PromptScorer, Question

AT_ONCE = 4  # requests to a provider
BATCH = 3  # requests that one proposal is made from
PHASE = "optimising"
STRONG_SECONDS = 300.0  # a strong model thinks long
REFLECTION = """An assistant works by the text below. It is a Jinja2 template: keep each variable that
it has, as {{ name }}, and add none.
```
<curr_param>
```

Here are requests with what the assistant answered, and what rules, judges and users make of it:
```
<side_info>
```

Write a text by which the assistant answers such requests better. Say what answers that were liked have
in common, and what those that were not lack; keep facts that requests need and the assistant cannot
know. Do not copy names, addresses or other personal data from the requests. Reply with the whole new
text within ``` blocks."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        prompt: the best proposal; None where none was better than the champion.
        score: its mean on the data set, in [0, 1]; the champion's where there is none.
        champion_score: of the champion on the same rows.
        proposals: how many were made.
        stopped: why the search ended early; empty where it did not.
    """

    prompt: Prompt | None
    score: float
    champion_score: float
    proposals: int
    stopped: str


@dataclass(slots=True)
class PromptSpace:
    """Prompts that differ from the champion in the texts of their messages: gepa's adapter.

    Attributes:
        scorer: scores answers.
        progress: is told of each answer.
        expected: answers that the whole search asks for, to tell how far it is.
    """

    scorer: PromptScorer
    progress: RunProgress
    expected: int
    propose_new_texts: None = None  # gepa's own way, by `REFLECTION`
    failure: Exception | None = None
    _done: int = 0

    @property
    def texts(self) -> dict[str, str]:
        """The champion's texts by name."""
        return {_name(n): one.content for n, one in enumerate(self.scorer.champion.messages)}

    def prompt_of(self, texts: Mapping[str, str]) -> Prompt:
        """Return the champion with other texts.

        Raises:
            PromptError: they are no templates that it can have.
        """
        champion = self.scorer.champion
        messages = tuple(
            replace(one, content=texts[_name(n)]) for n, one in enumerate(champion.messages)
        )
        return Prompt.parse(replace(champion, messages=messages).as_json())

    def evaluate(
        self,
        batch: list[Question],
        candidate: dict[str, str],
        capture_traces: bool = False,  # noqa: FBT001, FBT002  gepa's protocol
    ) -> Any:
        """Let a proposal answer requests and score it.

        Raises:
            BudgetSpentError: nothing is left; kept in `failure`, too.
            NoCompletionError: the judge does not answer; likewise.
        """
        # An extra, and slow to import: in the run that needs it, and nowhere else.
        from gepa.core.adapter import EvaluationBatch  # noqa: PLC0415

        try:
            scored = self._score(batch, candidate)
        except (BudgetSpentError, NoCompletionError) as error:
            self.failure = error
            raise
        traces = list(zip(batch, scored, strict=True)) if capture_traces else None
        return EvaluationBatch([one.text for one in scored], [one.score for one in scored], traces)

    def _score(self, batch: list[Question], candidate: Mapping[str, str]) -> list[ScoredAnswer]:
        try:
            prompt = self.prompt_of(candidate)
        except PromptError as error:
            return [ScoredAnswer(0.0, "", (f"The text cannot be used: {error}",))] * len(batch)
        scored = []
        with TracedThreads(AT_ONCE) as threads:
            for one in threads.map(lambda question: self.scorer.score(prompt, question), batch):
                scored.append(one)
                self._done += 1
                self.report()
        return scored

    def report(self) -> None:
        """Say how far the search is, and what it has spent."""
        models = self.scorer.models
        self.progress.report(
            min(self._done / self.expected, 1.0),
            f"{PHASE}: {models.answered} answers, {models.purse.spent.tokens:.0f} tokens, "
            f"{models.purse.spent.money:.4f} in money spent",
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return what the strong model reads of a batch."""
        del candidate  # its text is in the question anyway
        rows = []
        for question, scored in eval_batch.trajectories:
            row = {"Request": question.text, "Answer": scored.text or "none"}
            row["Remarks"] = " ".join(scored.remarks) or "none"
            if question.comment:
                row["An earlier answer"] = question.answer
                row["What came of the earlier answer"] = question.comment
            rows.append(row)
        return dict.fromkeys(components_to_update, rows)


def _name(place: int) -> str:
    return f"message {place + 1}"


@dataclass(slots=True)
class _Record:
    """What was tried on the data set, in the order of time: gepa's callbacks."""

    progress: RunProgress
    tried: list[tuple[dict[str, str], float]] = field(default_factory=list)

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Note a proposal's mean; it is the run's curve, upside down."""
        self.tried.append((event["candidate"], event["average_score"]))
        self.progress.curve(PHASE, len(self.tried), 1 - event["average_score"])


@dataclass(slots=True)
class _Proposer:
    """The strong model, and when it is asked no more."""

    space: PromptSpace
    strong: Prompt
    maximum: int
    count: int = 0

    def propose(self, text: Any) -> str:
        """Answer gepa's question.

        Raises:
            BudgetSpentError: nothing is left; kept in the space's `failure`, too.
            NoCompletionError: it does not answer; likewise.
        """
        question = [{"role": "user", "content": text}]
        models = self.space.scorer.models
        try:
            answer = models.ask(self.strong, variables={}, messages=question, attempt=self.count)
        except (BudgetSpentError, NoCompletionError) as error:
            self.space.failure = error  # gepa goes on without this proposal: `is_done` ends it
            raise
        self.count += 1
        return answer.text

    def is_done(self, state: Any) -> bool:
        """Whether gepa stops before its next round."""
        return self.space.failure is not None or state.i + 1 >= self.maximum


def search_prompt(
    scorer: PromptScorer,
    questions: tuple[Sequence[Question], Sequence[Question]],
    strong: Prompt,
    progress: RunProgress,
    *,
    proposals: int,
) -> SearchResult:
    """Search.

    Args:
        scorer: of answers, with the champion.
        questions: what proposals are made from, and by what they are compared.
        strong: the model that proposes.
        progress: is told how far the search is.
        proposals: asked for at most.

    Raises:
        RunError: the package is missing, or the champion could not be scored.
    """
    try:
        from gepa.api import optimize  # noqa: PLC0415  an extra
    except ImportError as error:
        raise RunError(MISSING) from error
    learnt, evaluated = questions
    expected = len(evaluated) + proposals * (2 * min(BATCH, len(learnt)) + len(evaluated))
    space, record = PromptSpace(scorer, progress, expected), _Record(progress)
    proposer = _Proposer(space, strong, proposals)
    # gepa's protocols name what it only may call: ours have what it does call.
    parts: dict[str, Any] = {
        "adapter": space,
        "reflection_lm": proposer.propose,
        "stop_callbacks": proposer.is_done,
        "callbacks": [record],
        "logger": _Silent(),
    }
    with suppress(BudgetSpentError, NoCompletionError):  # kept in `failure`; what was tried counts
        optimize(
            seed_candidate=space.texts,
            trainset=list(learnt),
            valset=list(evaluated),
            reflection_minibatch_size=min(BATCH, len(learnt)),
            reflection_prompt_template=REFLECTION,
            track_best_outputs=False,
            seed=0,
            **parts,
        )
    return _best(space, record, proposer.count)


def _best(space: PromptSpace, record: _Record, count: int) -> SearchResult:
    """Return the best of what was tried.

    Raises:
        RunError: a provider does not answer, or not even the champion was scored.
    """
    if isinstance(space.failure, NoCompletionError):
        raise RunError(f"no answer: {space.failure}") from space.failure
    stopped = str(space.failure or "")
    if not record.tried:
        raise RunError(f"{stopped} Not even the champion was scored.")
    champion = record.tried[0][1]
    texts, score = max(record.tried, key=lambda one: one[1])  # of equals the first
    better = space.prompt_of(texts) if score > champion else None
    return SearchResult(better, score, champion, count, stopped)


MISSING = "a search for prompts needs the package gepa: pip install 'bakeoff[optimise]'."


class _Silent:
    """gepa's log is the run's progress here."""

    def __init__(self) -> None:
        """Keep a few lines, for a debugger."""
        self.lines: deque[str] = deque(maxlen=100)

    def log(self, message: str) -> None:
        """Keep a line."""
        self.lines.append(message)
