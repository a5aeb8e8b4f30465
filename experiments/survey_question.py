"""The question of a survey: who is asked, in which words, what an answer may be, and the score it has.

Pure: the fast lane and the tables read the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.assignment.hashing import buckets_of
from experiments.kinds import SURVEY_KINDS
from experiments.languages import is_language
from experiments.survey_labels import labels_of, language_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The lowest and the highest number of a scale.
SCALES = {"nps": (0, 10), "csat": (1, 5), "rating": (1, 5)}
TEXT = "text"  # the kind that users answer in their own words
MAX_ANSWER = 2000  # characters of such an answer: a page of writing
MAX_QUESTION = 200
MAX_CHOICE = 64  # a tag of feedback
MIN_CHOICES, MAX_CHOICES = 2, 10
MAX_PERIOD_DAYS = 3650
MAX_LANGUAGES = 20  # a slate's answer brings all of them
MAX_VARIANTS = 20
# Of the Net Promoter Score: promoters say 9 or 10, detractors 0 to 6.
PROMOTERS, DETRACTORS = 9, 6
# Up to which number a score is low.
LOW_SCORES = {"nps": DETRACTORS, "csat": 2, "rating": 2}


class SurveyError(ValueError):
    """A survey, or an answer, that breaks a rule.

    Attributes:
        field: whose value.
    """

    def __init__(self, field: str, value: object, rule: str) -> None:
        """Name the value and the rule."""
        super().__init__(f"{field} == {value!r}, must be {rule}.")
        self.field, self.value, self.rule = field, value, rule


@dataclass(frozen=True, slots=True)
class Translation:
    """The texts of a question in another language.

    Attributes:
        question: the sentence that users read.
        choices: in the order of the question's own, which an answer names.
    """

    question: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SurveyQuestion:
    """What users are asked after a slate.

    Attributes:
        key: of the survey.
        kind: one of `SURVEY_KINDS`.
        question: the sentence that users read.
        choices: what they may answer, of the kinds `choice` and `choices`.
        share: of the users who are asked, in (0, 1]; always the same ones.
        period_days: for which a user is not asked again.
        asks_comment: whether users may add a text; false where the answer is one.
        condition: of attributes of the request, as in targeting; who fails it is not asked.
        variants: EXPERIMENT/VARIANT, of which users must have one; empty: users of all.
        translations: by the tag of their language, such as zh-Hans; an answer names the choices above.
    """

    key: str
    kind: str
    question: str
    choices: tuple[str, ...] = ()
    share: float = 1.0
    period_days: int = 30
    asks_comment: bool = False
    condition: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    translations: Mapping[str, Translation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the rules.

        Raises:
            SurveyError: a field breaks one.
        """
        if self.kind not in SURVEY_KINDS:
            raise SurveyError("kind", self.kind, f"one of {', '.join(SURVEY_KINDS)}")
        if not 1 <= len(self.question) <= MAX_QUESTION:
            raise SurveyError("question", self.question, f"a text of 1 to {MAX_QUESTION} characters")
        if not 0 < self.share <= 1:
            raise SurveyError("share", self.share, "above 0 and at most 1")
        if not 1 <= self.period_days <= MAX_PERIOD_DAYS:
            raise SurveyError("period_days", self.period_days, f"from 1 to {MAX_PERIOD_DAYS}")
        check_choices(self.kind, self.choices)
        if self.asks_comment and self.kind == TEXT:
            rule = "false for the kind text: its answer is a text"
            raise SurveyError("asks_comment", self.asks_comment, rule)
        if len(set(self.variants)) != len(self.variants) or len(self.variants) > MAX_VARIANTS:
            rule = f"at most {MAX_VARIANTS}, each once"
            raise SurveyError("variants", list(self.variants), rule)
        check_translations(self.translations, self.choices)

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> SurveyQuestion:
        """Read a row of the table of surveys, or what a person stated; blanks around texts go.

        Raises:
            SurveyError: a field breaks a rule.
        """
        return cls(
            key=row["key"],
            kind=row["kind"],
            question=row["question"].strip(),
            choices=tuple(one.strip() for one in row["choices"]),
            share=row["share"],
            period_days=row["period_days"],
            asks_comment=row["asks_comment"],
            condition=row.get("condition") or {},
            variants=tuple(row.get("variants") or ()),
            translations=read_translations(row.get("translations") or {}),
        )

    @property
    def scale(self) -> tuple[int, int] | None:
        """The lowest and the highest answer; None where users choose or write."""
        return SCALES.get(self.kind)

    @property
    def low_score(self) -> int | None:
        """The highest number that is a low score, as of detractors; None without a scale."""
        return LOW_SCORES.get(self.kind)

    def is_for(self, unit_id: str) -> bool:
        """Whether a user belongs to those who are asked."""
        return buckets_of(f"survey:{self.key}", unit_id)[0] < self.share

    def read(self, answer: Any) -> tuple[float | None, list[str]]:
        """Return an answer's number, or None, and the choices that it names; not of the kind text.

        Raises:
            SurveyError: the question has no such answer.
        """
        if self.scale is not None:
            low, high = self.scale
            is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
            if not is_number or not low <= answer <= high or answer != int(answer):
                raise SurveyError("answer", answer, f"a whole number from {low} to {high}")
            return float(answer), []
        chosen = [answer] if self.kind == "choice" else answer
        is_list = isinstance(chosen, list) and len(chosen) > 0
        if not is_list or not all(isinstance(one, str) and one in self.choices for one in chosen):
            names = ", ".join(self.choices)
            rule = f"one of {names}" if self.kind == "choice" else f"a list of {names}"
            raise SurveyError("answer", answer, rule)
        return None, list(dict.fromkeys(chosen))

    def as_json(self) -> dict[str, Any]:
        """Return what a page needs to ask it."""
        shown: dict[str, Any] = {"key": self.key, "kind": self.kind, "question": self.question}
        if self.scale is not None:
            shown["scale"] = list(self.scale)
        elif self.kind != TEXT:
            shown["choices"] = list(self.choices)
        shown |= {"comment": self.asks_comment, "period_days": self.period_days}
        # Only then named: a question in English alone reads as it did before there were translations.
        if labels := labels_of(language_of(self.question)):
            shown["words"] = labels
        if self.translations:
            shown["translations"] = {
                language: {**texts, **({"words": labels} if (labels := labels_of(language)) else {})}
                for language, texts in self.translations_as_json().items()
            }
        return shown

    def translations_as_json(self) -> dict[str, dict[str, Any]]:
        """Return the texts of each language as they are stated."""
        return {
            language: {"question": one.question, "choices": list(one.choices)}
            for language, one in self.translations.items()
        }


def check_choices(kind: str, choices: Sequence[str]) -> None:
    """Check that choices are there exactly where a kind has them.

    Raises:
        SurveyError: they are too many, too few, too long, or not different.
    """
    if kind in SCALES or kind == TEXT:
        if choices:
            raise SurveyError("choices", list(choices), f"empty for the kind {kind}")
        return
    fit = all(1 <= len(one) <= MAX_CHOICE for one in choices)
    if not fit or not MIN_CHOICES <= len(set(choices)) == len(choices) <= MAX_CHOICES:
        rule = f"{MIN_CHOICES} to {MAX_CHOICES} different texts of at most {MAX_CHOICE} characters"
        raise SurveyError("choices", list(choices), rule)


def read_translations(stated: Mapping[str, Mapping[str, Any]]) -> dict[str, Translation]:
    """Read texts by language, as a table or a person states them; blanks around them go.

    Raises:
        SurveyError: one is no question with choices.
    """
    read = {}
    for language, one in sorted(stated.items()):
        question, choices = one.get("question"), one.get("choices") or ()
        texts = [question, *choices] if isinstance(choices, list | tuple) else [None]
        if not all(isinstance(text, str) for text in texts) or set(one) - {"question", "choices"}:
            rule = "an object with question, a text, and choices, a list of texts"
            raise SurveyError(f"translations.{language}", dict(one), rule)
        stripped = [str(text).strip() for text in texts]
        read[language] = Translation(stripped[0], tuple(stripped[1:]))
    return read


def check_translations(translations: Mapping[str, Translation], choices: Sequence[str]) -> None:
    """Check that each is of a language, says something, and has all choices.

    Raises:
        SurveyError: one breaks a rule.
    """
    if len(translations) > MAX_LANGUAGES:
        raise SurveyError("translations", len(translations), f"at most {MAX_LANGUAGES} languages")
    for language, one in translations.items():
        if not is_language(language):
            raise SurveyError("translations", language, "a language such as de, pt-BR or zh-Hans")
        where = f"translations.{language}"
        if not 1 <= len(one.question) <= MAX_QUESTION:
            rule = f"a text of 1 to {MAX_QUESTION} characters"
            raise SurveyError(f"{where}.question", one.question, rule)
        fit = all(1 <= len(choice) <= MAX_CHOICE for choice in one.choices)
        if not fit or not len(set(one.choices)) == len(one.choices) == len(choices):
            rule = f"{len(choices)} different texts of 1 to {MAX_CHOICE} characters, one per choice"
            raise SurveyError(f"{where}.choices", list(one.choices), rule)


def score_sql(value: str, kind: str) -> str:
    """SQL: what an answer adds to a survey's mean score: of the Net Promoter Score 100, 0 or -100.

    Args:
        value: SQL of the number.
        kind: SQL of the survey's kind.
    """
    promoted = (
        f"CASE WHEN {value} >= {PROMOTERS} THEN 100 WHEN {value} <= {DETRACTORS} THEN -100 ELSE 0 END"
    )
    return f"(CASE WHEN {kind} = 'nps' THEN {promoted} ELSE {value} END)"
