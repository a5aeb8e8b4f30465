"""What the policy of a surface earns beside its default action."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from experiments.reports.policy_report import report_policy
from inference.models import Surface

router = Router(tags=["surfaces"])


class PolicyValueOut(Schema):
    """Rewards as shares of their range."""

    decisions: int = Field(description="Those whose time for rewards is over.")
    controls: int = Field(description="Of them those that took the default action.")
    served: float = Field(description="Mean reward of the decisions.")
    control: float = Field(description="Estimated mean reward, had the default always been taken.")
    difference: float
    interval: tuple[float, float] = Field(description="Of the difference, valid at any time.")


class VersionValueOut(Schema):
    """What one version earned on its own decisions."""

    label: str = Field(description="Empty for decisions without a version.")
    value: PolicyValueOut


class ValuePointOut(Schema):
    """The value as it stood at a time."""

    at: str
    value: PolicyValueOut


class CountingOut(Schema):
    """A count of many decisions that has not come to its end."""

    decisions: int = Field(description="Counted so far.")
    expected: int = Field(description="About how many there will be.")


class PolicyOut(Schema):
    """What a policy earns."""

    value: PolicyValueOut
    since: str | None = Field(
        description="When the settings of rewards last changed; decisions since then count."
    )
    rewarded: int = Field(description="Decisions whose reward came in time.")
    min_reward: float
    max_reward: float
    confidence: float
    versions: list[VersionValueOut]
    course: list[ValuePointOut]
    counting: CountingOut | None = Field(
        description="While many decisions are counted; the value is that of the count before. "
        "null: it is up to date."
    )


@router.get("/surfaces/{key}/policy", response={200: PolicyOut})
def show_policy(request: HttpRequest, key: str) -> Any:
    """Show what the policy of a surface of kind `rank` earns beside the default action."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    if surface.kind != Surface.Kind.RANK:
        message = f"kind == '{surface.kind}', must be '{Surface.Kind.RANK}' for a policy's value."
        raise Problem(422, "wrong_kind", message, "key")
    return report_policy(surface).as_json()
