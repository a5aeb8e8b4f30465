"""Language models asked by a run: within its budget, and of what was answered nothing twice.

Answers stand in a file beside the run's checkpoints. A run that is taken up again goes the same way as
before, by the same seed, and is answered from the file until where it was.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from inference.judging.completion import Completion, ask_version
from inference.serving.spending import Spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference.judging.purse import RunPurse
    from inference.serving.prompts import Prompt

FILE = "answers.jsonl"


class RememberedAnswers:
    """Asks versions, and remembers.

    Attributes:
        purse: what the run may spend; what an earlier attempt spent counts.
        answered: how many answers were given.
    """

    def __init__(self, purse: RunPurse, *, project: str, folder: Path | None) -> None:
        """Read what an earlier attempt was answered.

        Args:
            purse: who pays.
            project: slug of the project that asks.
            folder: of the run's checkpoints, or None.
        """
        self.purse, self._project = purse, project
        self._file = folder and folder / FILE
        self._lock = threading.Lock()  # several answers at a time are written
        self._answers: dict[str, Completion] = {}
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._read(self._file)

    @property
    def answered(self) -> int:
        """How many answers were given."""
        return len(self._answers)

    def _read(self, file: Path) -> None:
        if not file.exists():
            return
        for line in file.read_bytes().splitlines():
            try:
                key, fields = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue  # the last line of a process that was killed
            self._answers[key] = one = Completion(**fields)
            self.purse.spent += Spending(one.tokens, one.cost)

    def ask(
        self,
        prompt: Prompt,
        *,
        variables: Mapping[str, Any],
        messages: Sequence[Mapping[str, Any]] = (),
        attempt: int = 0,
    ) -> Completion:
        """Return a version's answer, from an earlier attempt where it was given then.

        Args:
            prompt: the version.
            variables: of its templates.
            messages: the conversation.
            attempt: another number asks again.

        Raises:
            BudgetSpentError: nothing is left.
            VariablesError, TemplateError, NoCompletionError: as `ask_version` does.
        """
        question = [prompt.as_json(), variables, messages, attempt]
        key = hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).hexdigest()
        if key in self._answers:
            return self._answers[key]
        completion = ask_version(
            prompt,
            project=self._project,
            variables=variables,
            messages=messages,
            purse=self.purse,
        )
        with self._lock:
            self._answers[key] = completion
            if self._file is not None:
                with self._file.open("ab") as file:
                    file.write(orjson.dumps([key, asdict(completion)]) + b"\n")
        return completion
