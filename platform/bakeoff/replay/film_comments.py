"""What the demonstration's visitors write of a list of films: MovieLens has ratings, and no comments.

Guarantees: pure and repeatable per slate; nobody wrote any of it. Visitors of a list that knows them
write of other things than those of a list that is the same for all: variants differ in their themes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bakeoff.replay.visitors import Remarks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.replay.visitors import SimulatedVisitor

COMMENTS: Mapping[str, Sequence[str]] = {
    "seen": (
        "I have already seen most of these films.",
        "Please leave out films that I have already seen and rated.",
        "Again the films that everybody has seen.",
        "I rated this film last month, why do I see it again?",
        "Nothing new here, I have seen them all.",
        "Already seen, and seen again with my sister.",
        "A button for films that I have seen would help.",
        "Half of the films in this list I have seen twice.",
        "I have seen the first three, and own one of them.",
        "You show me films that I have seen in the cinema.",
    ),
    "trailer": (
        "Please add a trailer, a title says little.",
        "There is no trailer and no description of the story.",
        "I would watch the trailer first, where is it?",
        "Without a trailer I cannot decide.",
        "The description of the story is missing.",
        "Who plays in it? A trailer or the names of the actors would help.",
        "Trailers do not play on my phone.",
        "One sentence about the story would be enough for me.",
        "I miss a short description below each title.",
        "The trailer of another film starts when I open this one.",
    ),
    "old": (
        "These films are too old for me.",
        "Why only films from thirty years ago? Show something newer.",
        "Too many old black and white films.",
        "Please let me choose the year, these are old.",
        "An old film is fine, ten old films are not.",
        "I would like to see newer films.",
        "The newest film here is older than my daughter.",
        "Old films again, nothing of this year.",
        "A filter by year would hide the old ones.",
        "Nice classics, old ones are what I look for.",
    ),
    "genre": (
        "Too much action, I asked for comedies.",
        "More comedies, please, and fewer dramas.",
        "I never watch horror, and yet there is horror in my list.",
        "A filter by genre is missing.",
        "Drama, drama, drama. Where are the comedies?",
        "Nothing for children in this list.",
        "Science fiction is my genre, and there is none.",
        "The genre of each film should be shown.",
        "Romance and action in one list do not go together.",
        "Only one genre, I would like a mix.",
    ),
    "taste": (
        "This list is exactly my taste.",
        "You know my taste better than my friends do.",
        "Great suggestions, three of them match my taste.",
        "Good suggestions, I will watch two of them tonight.",
        "Surprising suggestions that fit my taste.",
        "The suggestions get better every week.",
        "Not one of the suggestions is my taste.",
        "A fine list, my taste is met.",
        "These suggestions are better than last time.",
        "My taste is not met, but it comes closer.",
    ),
}
# How often each is written about, of a list that is the same for all and of one that knows its visitor.
SAME_FOR_ALL: Mapping[str, float] = {**dict.fromkeys(COMMENTS, 1.0), "seen": 3.0, "taste": 0.4}
KNOWS_ITS_VISITOR: Mapping[str, float] = {**dict.fromkeys(COMMENTS, 1.0), "seen": 0.5, "taste": 2.5}
PERSONAL_ALGORITHM = "two-tower"
# Of the lists shown: how many bring a comment. 943 visitors then fill the themes of both variants.
COMMENTS_SHARE = 0.12
SECOND_SENTENCE = 0.5


@dataclass(frozen=True, slots=True)
class FilmVoice:
    """A visitor who now and then writes a comment."""

    unit_id: str

    def speak(self, slate: Mapping[str, Any], clicked: Sequence[str]) -> Remarks:
        """Return what is written of one slate, if anything: the body of one feedback."""
        del clicked  # what is written is of the whole list
        recommendation = str(slate["recommendation_id"])
        draw = random.Random(f"films:{recommendation}")  # noqa: S311  a simulation
        if not slate["items"] or draw.random() >= COMMENTS_SHARE:
            return Remarks()
        is_personal = str(slate.get("model") or "").startswith(f"{PERSONAL_ALGORITHM}@")
        body = {
            "feedback_id": f"{recommendation}:said",
            "recommendation_id": recommendation,
            "unit_id": self.unit_id,
            "kind": "text",
            "value": comment(draw, is_personal=is_personal),
        }
        return Remarks(feedback=[body])


def comment(draw: random.Random, *, is_personal: bool) -> str:
    """Return one or two sentences about one of the topics."""
    weights = KNOWS_ITS_VISITOR if is_personal else SAME_FOR_ALL
    (topic,) = draw.choices(list(weights), list(weights.values()))
    return " ".join(draw.sample(COMMENTS[topic], 2 if draw.random() < SECOND_SENTENCE else 1))


def with_voices(visitors: Sequence[SimulatedVisitor]) -> list[SimulatedVisitor]:
    """Return the same visitors, who write comments."""
    return [replace(visitor, voice=FilmVoice(visitor.unit_id)) for visitor in visitors]
