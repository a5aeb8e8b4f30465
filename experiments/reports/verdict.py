"""The verdict in plain words: one sentence without statistics, and the statistics as details."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from experiments.models import Experiment, Metric
from experiments.reports.holdback_gain import gain_of
from experiments.reports.leading_variant import decided_variant, leading_comparison
from experiments.reports.percentages import percent, signed_number
from experiments.reports.preference_words import describe_preference, preference_about
from experiments.reports.read_together import last_look, primary_of, variant_of
from experiments.reports.stored_text import end_sentence, join_sentences, show_stored

if TYPE_CHECKING:
    from experiments.models import Decision, Look, Variant
    from experiments.stats.comparison import Comparison
    from experiments.stats.effect import Effect
    from experiments.stats.look_result import LookResult

WORDS = {
    "ship": gettext_noop("Ship"),
    "prefer": gettext_noop("Prefer"),
    "roll_back": gettext_noop("Roll back"),
    "keep_running": gettext_noop("Keep running"),
    "stop_inconclusive": gettext_noop("No winner"),
    "halt": gettext_noop("Halt"),
    "promote": gettext_noop("Promote"),
    "confirm": gettext_noop("Confirmed"),
    "lost": gettext_noop("Worse now"),
}
# Of experiments that ended: what was done.
DONE = {
    "ship": gettext_noop("Shipped"),
    "prefer": gettext_noop("Preferred"),
    "roll_back": gettext_noop("Rolled back"),
    "stop_inconclusive": gettext_noop("No winner"),
    "halt": gettext_noop("Halted"),
}
# Actions whose sentence names the variant that they are about.
NAMED = {"ship", "prefer", "roll_back"}
MAX_VALUE_LENGTH = 40  # of a flag's value in a sentence; a longer one goes by its variant's key
SHARES = {"proportion", "retention", "funnel"}
WORSE = "worse: "  # how reasons begin of what was significantly worse
TOO_FEW = "expected "  # and those of a count gate: see `Shortfall.sentence`
# An interval whose near end is below this share of the estimate says "better", but not how much.
UNCERTAIN_SIZE = 0.1


@dataclass(frozen=True, slots=True)
class VerdictSummary:
    """What is known of an experiment now.

    Attributes:
        action: of the decision, or of the last look, or `keep_running`.
        sentence: what to do and what the treatment changed, without statistics.
        effect: relative difference, or None.
        interval: its interval under the policy's rule, or None.
        units: complete units that it rests on.
        metric: name of the primary metric.
        details: effect, interval and the rule's reason; empty before the first look.
        variant: key of the treatment that effect and interval are of; empty before the first look.
        name: of that treatment, as sentences call it.
        too_few: whether it has no interval because too few users have a value.
    """

    action: str
    sentence: str
    effect: float | None
    interval: tuple[float, float] | None
    units: int
    metric: str = ""
    details: str = ""
    variant: str = ""
    name: str = ""
    too_few: bool = False


class _Ruling(NamedTuple):
    """What is done, or was done, with an experiment.

    Attributes:
        action: of the decision, else of the last look.
        word: how pages call it.
        reason: in words, as it is stored.
        variant: key of what was shipped or switched off; empty where the numbers alone name one.
    """

    action: str
    word: str
    reason: str
    variant: str


def word_of(action: str, *, is_over: bool = False) -> str:
    """Return what pages call an action of a decision.

    Args:
        action: as it is stored.
        is_over: whether the experiment has ended with it: then the word says what was done.
    """
    words = WORDS | DONE if is_over else WORDS
    return _(words[action]) if action in words else action


def summarise_verdict(experiment: Experiment) -> VerdictSummary:
    """Return the verdict of an experiment from its decision and its last look."""
    decision = experiment.decisions.first()
    if experiment.state == Experiment.State.RUNNING:
        decision = None  # about a treatment that left; what is known now is what the last look says
    look = last_look(experiment)
    if look is None and decision is not None:  # ended by a person, or halted, before the first look
        sentence = _with_reason(word_of(decision.action, is_over=True), decision.reason)
        return VerdictSummary(decision.action, sentence, None, None, 0)
    if look is None:
        is_draft = experiment.state == Experiment.State.DRAFT
        sentence = _("Not started.") if is_draft else _("No analysis yet.")
        return VerdictSummary("keep_running", sentence, None, None, 0)
    result = look.parsed_result
    source: Look | Decision = look if decision is None else decision
    ruling = _Ruling(
        action=source.action,
        word=word_of(source.action, is_over=decision is not None),
        reason=source.reason,
        variant=decided_variant(experiment, decision),
    )
    comparison = leading_comparison(experiment, result, decision)
    return VerdictSummary(
        action=ruling.action,
        sentence=_sentence(experiment, result, comparison, ruling),
        effect=comparison.lift if comparison else None,
        interval=comparison.lift_interval if comparison else None,
        units=round(look.information * experiment.parsed_policy.planned_units),
        metric=_measure_in(experiment),
        details=_details(experiment, comparison, ruling.reason),
        variant=comparison.variant if comparison else "",
        name=label_of(variant_of(experiment, comparison.variant)) if comparison else "",
        too_few=comparison is not None and has_too_few(comparison),
    )


def _sentence(
    experiment: Experiment, result: LookResult, comparison: Comparison | None, ruling: _Ruling
) -> str:
    """Return what to do, or what was done, and why."""
    if experiment.purpose != Experiment.Purpose.TEST:
        return gain_of(experiment).sentence
    preference = preference_about(result)
    if ruling.action == "halt":
        return _with_reason(ruling.word, ruling.reason)
    if preference is not None and preference.units:
        head = _head(experiment, ruling.variant or preference.variant, ruling)
        return join_sentences(head, describe_preference(experiment, preference))
    if comparison is None or comparison.effect is None:
        return _with_reason(ruling.word, ruling.reason)
    return _describe_verdict(experiment, comparison, ruling)


def _head(experiment: Experiment, variant: str, ruling: _Ruling) -> str:
    """Return the word of an action, and the variant that it is about."""
    if ruling.action not in NAMED:
        return end_sentence(ruling.word)
    name = label_of(variant_of(experiment, variant))
    if ruling.action == "prefer":
        return _("Users prefer %(name)s.") % {"name": name}
    return _("%(action)s %(name)s.") % {"action": ruling.word, "name": name}


def label_of(variant: Variant) -> str:
    """Return what a sentence calls a variant: its version, or a flag's value, or its key."""
    if variant.model_version is not None:
        return str(variant.model_version)
    if isinstance(variant.value, str) and 0 < len(variant.value) <= MAX_VALUE_LENGTH:
        return f"'{variant.value}'"
    return variant.key


def _describe_verdict(experiment: Experiment, comparison: Comparison, ruling: _Ruling) -> str:
    """Return what to do, or what was done, and what the treatment changed."""
    about = ruling.variant or comparison.variant
    head = _head(experiment, about, ruling)
    # The control, too, can be shipped: then the numbers are of another variant.
    is_named = ruling.action in NAMED and about == comparison.variant
    name = None if is_named else label_of(variant_of(experiment, comparison.variant))
    is_worse = is_named and ruling.action == "roll_back" and ruling.reason.startswith(WORSE)
    parts = [head, _describe_comparison(experiment, comparison, name, is_worse=is_worse)]
    if harmed := re.search(r"guardrail '([^']+)' is harmed", ruling.reason):
        parts.append(_("The guardrail metric %(metric)s got worse.") % {"metric": harmed[1]})
    if ruling.reason.startswith(("breaker: ", "shipped as the better bet")):
        parts.append(end_sentence(show_stored(ruling.reason)))
    return join_sentences(*parts)


def _describe_comparison(
    experiment: Experiment, comparison: Comparison, name: str | None, *, is_worse: bool
) -> str:
    """Return what a treatment changed; without a name it was named just before."""
    effect = comparison.effect
    if effect is None:
        return ""
    if comparison.interval is None and comparison.lift_interval is None:
        return _describe_unsized(experiment, comparison, effect, is_worse=is_worse)
    return _describe_change(experiment, effect, _change_of(comparison, effect), name)


def _describe_unsized(
    experiment: Experiment, comparison: Comparison, effect: Effect, *, is_worse: bool
) -> str:
    """Return what is known without an interval: at most the direction, of a version that was worse."""
    metric = primary_of(experiment).metric
    text = _("Too early to tell the change in %(metric)s: %(treatment)s against %(control)s so far.")
    if has_too_few(comparison):
        text = _(
            "Too few users with a value to tell the change in %(metric)s: %(treatment)s against "
            "%(control)s."
        )
    if is_worse:
        text = _(
            "It is worse in %(metric)s: %(treatment)s against %(control)s, with too few users with a "
            "value to say by how much."
        )
    return text % {
        "metric": _measure_in(experiment),
        "treatment": level_of(metric, effect.treatment),
        "control": level_of(metric, effect.control),
    }


def has_too_few(comparison: Comparison) -> bool:
    """Whether a comparison has no interval because too few users have a value."""
    return comparison.interval is None and comparison.why_not.startswith(TOO_FEW)


class _Change(NamedTuple):
    """What is known of an effect's size.

    Attributes:
        near: end of the interval that is nearer to 0; None where the interval holds 0.
        estimate: relative where there is a relative interval, else in the metric's unit.
        is_relative: which of the two.
    """

    near: float | None
    estimate: float
    is_relative: bool


def _change_of(comparison: Comparison, effect: Effect) -> _Change:
    is_relative = comparison.lift_interval is not None and effect.lift is not None
    estimate = effect.lift if is_relative and effect.lift is not None else effect.estimate
    low, high = (comparison.lift_interval if is_relative else comparison.interval) or (None, None)
    if low is not None and low > 0:
        return _Change(low, estimate, is_relative)
    if high is not None and high < 0:
        return _Change(high, estimate, is_relative)
    return _Change(None, estimate, is_relative)


def _describe_change(experiment: Experiment, effect: Effect, change: _Change, name: str | None) -> str:
    """Return what the treatment did to the primary metric, without statistics."""
    metric, size = primary_of(experiment).metric, abs(change.estimate)
    values = {
        "name": name or _("It"),
        "metric": _measure_in(experiment),
        "treatment": level_of(metric, effect.treatment),
        "control": level_of(metric, effect.control),
        "change": percent(size).lstrip("+") if change.is_relative else f"{size:.4g}",
    }
    if change.near is None:
        text = _("No clear difference in %(metric)s: %(treatment)s against %(control)s.")
        if name is not None and count_treatments(experiment) > 1:
            text = _(
                "No clear difference in %(metric)s for %(name)s: %(treatment)s against %(control)s."
            )
    elif abs(change.near) < UNCERTAIN_SIZE * size:
        text = (
            _(
                "%(name)s is at least a little better in %(metric)s; the size is uncertain: "
                "%(treatment)s against %(control)s."
            )
            if (change.near > 0) == (metric.direction == "increase")
            else _(
                "%(name)s is at least a little worse in %(metric)s; the size is uncertain: "
                "%(treatment)s against %(control)s."
            )
        )
    elif change.near > 0:
        text = _("%(name)s raised %(metric)s by %(change)s: %(treatment)s against %(control)s.")
    else:
        text = _("%(name)s lowered %(metric)s by %(change)s: %(treatment)s against %(control)s.")
    return text % values


def measure_of(metric: Metric) -> str:
    """Return what a metric measures, as pages name it."""
    if metric.kind == Metric.Kind.MEAN:
        return _("%(metric)s per user") % {"metric": metric}
    return str(metric)


def _measure_in(experiment: Experiment) -> str:
    """Return what the primary metric measures: in blocks of time, users count once in each."""
    metric = primary_of(experiment).metric
    if experiment.mode == Experiment.Mode.SWITCHBACK and metric.kind == Metric.Kind.MEAN:
        return _("%(metric)s per user and block of time") % {"metric": metric}
    return measure_of(metric)


def level_of(metric: Metric, value: float) -> str:
    """Return a mean or a share of a metric as pages write it."""
    if metric.kind in SHARES:
        return f"{100 * value:.3g}%"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _details(experiment: Experiment, comparison: Comparison | None, reason: str) -> str:
    """Return the statistics: effect, interval, and the rule's reason."""
    if comparison is None or comparison.effect is None:
        return end_sentence(show_stored(reason))
    described = describe_effect(comparison, interval_name(experiment, primary=True))
    parts = (f"{_measure_in(experiment)}: {described}", show_stored(reason))
    return join_sentences(*map(end_sentence, parts))


def _with_reason(word: str, reason: str) -> str:
    return end_sentence(_("%(word)s: %(reason)s") % {"word": word, "reason": show_stored(reason)})


# By kind of interval; files have the kind itself, in English.
INTERVALS = {
    "one fixed analysis": gettext_noop("%(level)s%% CI, one fixed analysis"),
    "valid at any time": gettext_noop("%(level)s%% CI, valid at any time"),
}


# What they mean, for readers who know no statistics.
MEANINGS = {
    "one fixed analysis": gettext_noop(
        "The true change is very likely in this range: of 100 such ranges about %(level)s hold it. It "
        "is calculated once, when the planned number is reached."
    ),
    "valid at any time": gettext_noop(
        "The true change is very likely in this range: of 100 such ranges about %(level)s hold it, "
        "however often you look and whenever you stop."
    ),
}


def interval_meaning(experiment: Experiment) -> str:
    """Return what the interval of the primary metric means, in a sentence without statistics."""
    policy = experiment.parsed_policy
    level = policy.interval_level(count_treatments(experiment))
    return _(MEANINGS[policy.interval_kind]) % {"level": f"{100 * level:.4g}"}


def interval_name(experiment: Experiment, *, primary: bool) -> str:
    """Return what the intervals of an experiment are called: their level, and when they hold.

    The primary's treatments share alpha (Bonferroni), so its intervals are the wider ones.
    """
    policy = experiment.parsed_policy
    level = policy.interval_level(count_treatments(experiment) if primary else 1)
    return _(INTERVALS[policy.interval_kind]) % {"level": f"{100 * level:.4g}"}


def count_treatments(experiment: Experiment) -> int:
    """Return how many treatments share alpha, at least 1; reads variants that were prefetched."""
    return max(sum(not variant.is_control for variant in experiment.variants.all()), 1)


def describe_effect(comparison: Comparison, interval: str) -> str:
    """Return an effect with its interval, relative where the control allows it, or why there is none.

    Args:
        comparison: of a look.
        interval: what its interval is called.
    """
    effect = comparison.effect
    if effect is None:
        return show_stored(comparison.why_not)
    if effect.lift is not None and comparison.lift_interval is not None:
        low, high = (percent(value) for value in comparison.lift_interval)
        return _range(percent(effect.lift), interval, low, high)
    estimate = signed_number(effect.estimate)
    if comparison.interval is None:
        return _("%(estimate)s, no interval yet: %(why)s") % {
            "estimate": estimate,
            "why": show_stored(comparison.why_not),
        }
    low, high = (_("open") if end is None else signed_number(end) for end in comparison.interval)
    return _range(estimate, interval, low, high)


def _range(estimate: str, interval: str, low: str, high: str) -> str:
    return _("%(estimate)s (%(interval)s: %(low)s to %(high)s)") % {
        "estimate": estimate,
        "interval": interval,
        "low": low,
        "high": high,
    }
