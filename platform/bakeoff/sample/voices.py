"""What the people of the sample shop say of a list: thumbs, ratings, comments, answers to its survey.

Guarantees: pure and repeatable per slate. People say it of what they were shown and clicked, and differ
by whether the list knew them, so that its variants differ in what a report shows of feedback.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.replay.visitors import Remarks
from bakeoff.sample.comments import COMMENTS, PERSONAL, USUAL
from bakeoff.sample.goods import good, number_of
from experiments.survey_question import SurveyQuestion, Translation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SURVEY = SurveyQuestion(
    "selection",
    "csat",
    "How satisfied are you with what we showed you?",
    share=0.6,
    asks_comment=True,
    translations={"zh-Hans": Translation("您对我们展示的商品满意吗？")},
)
# Of the lists shown: how many bring a comment. A few hundred visitors then fill six themes.
COMMENTS_SHARE = 0.14
SECOND_SENTENCE = 0.6
# Of what is clicked, of what is shown first and not clicked, and of what is bought.
THUMBS_UP, THUMBS_DOWN, RATES = 0.25, 0.1, 0.5
# Of those whom the survey asks; the others close the page.
ANSWERS, DISMISSES, ADDS_COMMENT = 0.45, 0.25, 0.3
# Mean answers, of 1 to 5, where the list does not know the visitor and where it does.
USUAL_SCORE, PERSONAL_SCORE = 3.3, 3.9


@dataclass(frozen=True, slots=True)
class Voice:
    """A visitor's.

    Attributes:
        unit_id: of the visitor.
        personal: algorithm of the lists that know their visitor.
        buys: what of the clicked is bought.
    """

    unit_id: str
    personal: str
    buys: Any = field(default=())

    def speak(self, slate: Mapping[str, Any], clicked: Sequence[str]) -> Remarks:
        """Return what is said of one slate: bodies of feedback and of events."""
        recommendation = str(slate["recommendation_id"])
        draw = random.Random(f"voice:{recommendation}")  # noqa: S311  a simulation
        is_personal = str(slate.get("model") or "").startswith(f"{self.personal}@")
        items = [item["item_id"] for item in slate["items"]]
        feedback = [
            *_thumbs(draw, items, clicked),
            *({"kind": "rating", "item_id": item, "value": draw.choice((3, 4, 4, 5, 5))}
              for item in clicked if item in self.buys and draw.random() < RATES),
        ]  # fmt: skip
        events: list[str] = []
        has_written = False
        if survey := slate.get("survey"):
            events = _prompted(draw)
            if "prompt_answered" in events:
                score = round(draw.gauss(PERSONAL_SCORE if is_personal else USUAL_SCORE, 1.0))
                answer = {"survey": survey["key"], "answer": min(max(score, 1), 5)}
                feedback.append({"kind": "survey", "value": answer})
                has_written = draw.random() < ADDS_COMMENT
        if items and (has_written or draw.random() < COMMENTS_SHARE):
            feedback.append({"kind": "text", "value": comment(draw, items, is_personal=is_personal)})
        about = {"recommendation_id": recommendation, "unit_id": self.unit_id}
        properties = {"survey": survey["key"]} if survey else {}
        return Remarks(
            feedback=[
                {"feedback_id": f"{recommendation}:said:{number}", **about, **one}
                for number, one in enumerate(feedback)
            ],
            events=[
                {
                    "event_id": f"{recommendation}:{name}",
                    "name": name,
                    **about,
                    "properties": properties,
                }
                for name in events
            ],
        )


def comment(draw: random.Random, items: Sequence[str], *, is_personal: bool) -> str:
    """Return one or two sentences about one of the topics, of one of the things."""
    weights = PERSONAL if is_personal else USUAL
    (topic,) = draw.choices(list(weights), list(weights.values()))
    number = number_of(draw.choice(items))
    thing = good(number).kind if number is not None else "thing"
    sentences = draw.sample(COMMENTS[topic], 2 if draw.random() < SECOND_SENTENCE else 1)
    return " ".join(sentences).format(thing=thing)


def _thumbs(draw: random.Random, items: Sequence[str], clicked: Sequence[str]) -> list[dict[str, Any]]:
    thumbs = [
        {"kind": "thumb", "item_id": item, "value": 1} for item in clicked if draw.random() < THUMBS_UP
    ]
    if items and items[0] not in clicked and draw.random() < THUMBS_DOWN:
        thumbs.append({"kind": "thumb", "item_id": items[0], "value": -1})
    return thumbs


def _prompted(draw: random.Random) -> list[str]:
    """Return what a page reports of a question: that it was in sight, and what became of it."""
    fate = draw.random()
    if fate < ANSWERS:
        return ["prompt_shown", "prompt_answered"]
    return ["prompt_shown", "prompt_dismissed"] if fate < ANSWERS + DISMISSES else ["prompt_shown"]
