"""A person rates a sampled answer; the mean of two people is its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.record_score import record_score
from experiments.metrics.spec import RATING
from experiments.models import AnswerRating, JudgePlan, SampledAnswer, Slate

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project

REVIEWERS = 2


class CannotRateError(RefusedError):
    """The rating is not on the scale, or two people have rated the answer."""


@dataclass(frozen=True, slots=True)
class AnswerToRate:
    """An answer as a reviewer sees it: without its variant, and without what others say.

    Attributes:
        answer: the sampled answer.
        messages: the conversation before it, as role and text.
        text: the answer.
        rubric: what makes an answer good.
    """

    answer: SampledAnswer
    messages: list[tuple[str, str]]
    text: str
    rubric: str

    @property
    def scale(self) -> range:
        """The points, the worst first."""
        return range(1, self.answer.points + 1)


def next_answer_to_rate(*, project: Project, reviewer: str) -> AnswerToRate | None:
    """Return the open answer of the smallest random number that this person has not rated, or None."""
    waiting = SampledAnswer.objects.filter(project=project, state=SampledAnswer.State.OPEN)
    for answer in waiting.exclude(ratings__reviewer=reviewer).order_by("draw", "id"):
        slate = Slate.objects.filter(pk=answer.generation_id, project=project).first()
        if slate is None:
            continue  # its text is gone with the project's retention
        plan = JudgePlan.objects.filter(surface=slate.surface_id).first()
        text = str((slate.context.get("answer") or {}).get("content") or "")
        rubric = plan.rubric if plan is not None else ""
        return AnswerToRate(answer, read_messages(slate.context.get("messages")), text, rubric)
    return None


def read_messages(stored: object) -> list[tuple[str, str]]:
    """Return stored messages as role and text; parts that are no text are left out."""
    messages = []
    for one in stored if isinstance(stored, list) else ():
        content = one.get("content") if isinstance(one, dict) else None
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if content:
            messages.append((str(one.get("role", "")), str(content)))
    return messages


def rate_answer(*, answer: SampledAnswer, point: int, by: str) -> SampledAnswer:
    """Store a person's rating; the second one gives the score.

    Raises:
        CannotRateError: the point is not on the scale, or two people have rated the answer.
    """
    if not 1 <= point <= answer.points:
        raise CannotRateError(f"point == {point}, must be in [1, {answer.points}].", field="point")
    with transaction.atomic():
        # Two people may send the second rating at once: one of them is the third, and is refused.
        answer = SampledAnswer.objects.select_for_update(no_key=True).get(pk=answer.pk)
        if answer.state != SampledAnswer.State.OPEN:
            raise CannotRateError(f"answer == {answer.pk}, must be open; it is {answer.state}.")
        AnswerRating.objects.update_or_create(answer=answer, reviewer=by, defaults={"point": point})
        points = list(answer.ratings.order_by("id").values_list("point", flat=True))
        if len(points) >= REVIEWERS:
            mean = sum(points) / len(points)
            answer.score = (mean - 1) / (answer.points - 1)
            answer.state, answer.rated_at = SampledAnswer.State.RATED, timezone.now()
            answer.save(update_fields=["score", "state", "rated_at"])
            # Its text may be gone with the project's retention meanwhile; then so is its time.
            if slate := Slate.objects.filter(pk=answer.generation_id).first():
                record_score(slate=slate, name=RATING, score=answer.score)
        record_audit(
            answer.project_id,
            actor=by,
            action="rate answer",
            subject=f"answer {answer.generation_id}",
            detail={"state": answer.state},
        )
    return answer
