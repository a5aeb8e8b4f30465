"""A plan from a surface's own traffic in words: what is missing for one, and what makes it shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Metric
    from experiments.scorecards.change_plan import ChangePlan, Choice
    from experiments.scorecards.cluster_plan import ClusterPlan
    from experiments.scorecards.interleaving_plan import ListsPlan
    from experiments.scorecards.mode_preview import ModePreview
    from experiments.scorecards.switchback_plan import SwitchbackPlan
    from experiments.scorecards.traffic_plan import CeilingError, TrafficPlan, WeekOfTraffic
    from inference.models import Surface

    HasOutcomes = ChangePlan | ClusterPlan | ListsPlan | ModePreview | TrafficPlan


def describe_missing_traffic(surface: Surface, metric: Metric, traffic: WeekOfTraffic) -> str:
    """Say what traffic there is, where it is too little to plan from."""
    return _(
        "Not enough traffic: last week '%(surface)s' had %(units)s users, and '%(metric)s' was above "
        "zero for %(doing)s of them. Send events first, or enter the number of users yourself."
    ) % {
        "surface": surface.key,
        "units": traffic.visitors,
        "metric": metric,
        "doing": traffic.active,
    }


def describe_open(plan: HasOutcomes) -> list[str]:
    """Say that the outcomes that a plan rests on are not complete; nothing where they are."""
    if plan.is_complete:
        return []
    return [
        _(
            "Outcomes of last week's users are not complete yet: some of their windows are still open, "
            "so the metric may be higher in the end."
        )
    ]


def describe_ceiling(error: CeilingError) -> str:
    """Say how far a proportion near 1 can rise."""
    return _(
        "%(share)s of users already do this; it can rise by at most %(room)s. Enter a smaller change, "
        "or choose a metric with more room."
    ) % {"share": f"{100 * error.share:.3g}%", "room": f"{100 * error.room:.2g}%"}


def describe_interleaved(plan: ChangePlan) -> str:
    """Say what interleaved lists take; nothing where they do not apply or take too long as well."""
    if plan.interleaved is None or plan.interleaved.weeks is None:
        return ""
    return ngettext(
        "Or interleave the lists of both versions: about %(users)s users in %(weeks)s week tell which "
        "one users prefer.",
        "Or interleave the lists of both versions: about %(users)s users in %(weeks)s weeks tell which "
        "one users prefer.",
        plan.interleaved.weeks,
    ) % {"users": f"{plan.interleaved.users:,}", "weeks": plan.interleaved.weeks}


def _larger_change(choices: Sequence[Choice]) -> str:
    """Say what the longest duration to choose finds; nothing where none finds anything."""
    choice = next((one for one in reversed(choices) if one.lift is not None), None)
    if choice is None:
        return ""
    return _("Choose a larger change: %(weeks)s weeks find one from %(lift)s on.") % {
        "weeks": choice.weeks,
        "lift": f"{100 * (choice.lift or 0):+.3g}%",
    }


def _commoner_event(metric: Metric) -> str:
    return _(
        "Choose a metric that more users reach and that varies less than %(metric)s: whether "
        "somebody clicked at all, for instance."
    ) % {"metric": metric}


def advice_in_words(plan: ChangePlan, metric: Metric) -> list[str]:
    """Return what a plan lacks and, where it is too long, what makes it shorter, one sentence each."""
    words = {
        "interleave": describe_interleaved(plan),
        "larger_change": _larger(plan.choices),
        "more_traffic": _("Let all of the traffic take part."),
        "even_split": _("Split it 50/50: that needs the fewest users."),
        "commoner_event": _commoner_event(metric),
    }
    return [*describe_open(plan), *(words[code] for code in plan.advice)]


def switchback_in_words(
    plan: SwitchbackPlan, metric: Metric, *, length: str, carry_over: str
) -> list[str]:
    """Return what a plan of blocks rests on and, where it is too long, what makes it shorter.

    Args:
        plan: of blocks.
        metric: that decides.
        length: of a block, in words.
        carry_over: likewise.
    """
    basis = _(
        "From %(past)s past blocks of %(length)s: %(metric)s was %(baseline)s per user and varied by "
        "±%(deviation)s between them. The first %(carry_over)s of a block, in which the one before "
        "still acts, count for nobody."
    ) % {
        "past": f"{plan.blocks.past_blocks:,}",
        "length": length,
        "metric": metric,
        "baseline": f"{plan.blocks.baseline:.3g}",
        "deviation": f"{plan.blocks.deviation:.2g}",
        "carry_over": carry_over,
    }
    words = {
        "larger_change": _larger_change(plan.choices)
        or _("Choose shorter blocks first: so few show no change at all within weeks."),
        "shorter_blocks": _(
            "Choose shorter blocks, as long as they outlast the carry-over: more of them fit."
        ),
        "even_split": _("Split it 50/50: that needs the fewest blocks."),
        "commoner_event": _commoner_event(metric),
    }
    return [basis, *(words[code] for code in plan.advice)]


def lists_in_words(plan: ListsPlan, metric: Metric) -> list[str]:
    """Return what interleaving says and, where it is too long, what makes it shorter."""
    basis = _(
        "It says which version users prefer, by %(metric)s; how much better it is, a test says: of "
        "%(users)s users."
    ) % {"metric": metric, "users": f"{plan.split_users:,}"}
    return [basis, *describe_open(plan), *([_larger(plan.choices)] if plan.advice else ())]


def clusters_in_words(plan: ClusterPlan, metric: Metric) -> list[str]:
    """Return what a plan of clusters rests on and, where it is too long, what makes it shorter."""
    if plan.clusters == plan.past_clusters:
        basis = _(
            "Last week %(past)s clusters by %(name)s had users: %(metric)s was %(baseline)s per user."
        )
    else:
        basis = _(
            "Last week %(past)s clusters by %(name)s had users, and %(clusters)s of them take part: "
            "%(metric)s was %(baseline)s per user."
        )
    basis %= {
        "past": f"{plan.past_clusters:,}",
        "clusters": f"{plan.clusters:,}",
        "name": plan.cluster_by,
        "metric": metric,
        "baseline": f"{plan.baseline:.3g}",
    }
    more = _("Let more clusters take part: more users in the same ones help little.")
    words = {
        "larger_change": _larger(plan.choices),
        "more_clusters": more,
        "even_split": _("Split it 50/50: that needs the fewest users."),
        "commoner_event": _commoner_event(metric),
    }
    return [basis, *describe_open(plan), _how_alike(plan), *(words[code] for code in plan.advice)]


def _how_alike(plan: ClusterPlan) -> str:
    """Say how alike the users of a cluster are, and what follows for their number."""
    times = f"{plan.design_effect:.3g}"
    if plan.users is None:
        sentence = _(
            "Users of a cluster are alike (correlation %(correlation)s): in so few clusters no number "
            "of them shows this change."
        )
    elif times == "1":
        sentence = _(
            "Users of a cluster are hardly more alike than others (correlation %(correlation)s): each "
            "counts about as much as a single user."
        )
    else:
        sentence = _(
            "Users of a cluster are alike (correlation %(correlation)s), so it takes %(times)s times "
            "as many as single users would."
        )
    return sentence % {"correlation": f"{plan.correlation:.2g}", "times": times}


def _larger(choices: Sequence[Choice]) -> str:
    return _larger_change(choices) or _(
        "Send more traffic first: so few users show no change at all within weeks."
    )
