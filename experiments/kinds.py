"""Words that tables, the API, the command line and statistics share; imports nothing of ours.

Each is a type for programs and a tuple of its values for choices. The labels of the tables' choices
stand in the models, with the same values. How units are hashed is `experiments.assignment`'s word: it
is shipped to clients alone.
"""

from __future__ import annotations

from typing import Literal, get_args

MetricKind = Literal["proportion", "mean", "ratio", "quantile", "retention", "funnel"]
METRIC_KINDS: tuple[MetricKind, ...] = get_args(MetricKind)
# Retention and funnel steps are proportions with windows: the estimator is the proportion's.
PROPORTIONS = frozenset({"proportion", "retention", "funnel"})

# What is taken over a unit's events.
ValueKind = Literal["count", "sum", "max", "items"]
VALUE_KINDS: tuple[ValueKind, ...] = get_args(ValueKind)

# What a metric is adjusted by: what a unit did before its exposure, or what that says of its outcome.
CovariateKind = Literal["history", "prediction"]
COVARIATE_KINDS: tuple[CovariateKind, ...] = get_args(CovariateKind)

Direction = Literal["increase", "decrease"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

# What a metric is for in an experiment.
Role = Literal["primary", "secondary", "guardrail"]
ROLES: tuple[Role, ...] = get_args(Role)

# What an experiment is for: to decide, or only to measure what was decided.
Purpose = Literal["test", "holdback", "holdout"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

# How its users meet the variants: each in one, or each in all, by interleaved lists; or each in one,
# by shares that follow the rewards; or all users of a cluster, or of a block of time, in one.
Mode = Literal["split", "interleave", "bandit", "cluster", "switchback"]
# Those that are planned from a surface's traffic: a bandit ends when it knows enough.
PlanMode = Literal["split", "interleave", "cluster", "switchback"]
MODES: tuple[Mode, ...] = get_args(Mode)
# What is randomised stands above the user: a cluster, or a block of time.
ABOVE_USERS: frozenset[str] = frozenset({"cluster", "switchback"})

Rule = Literal["group_sequential", "always_valid", "exact", "fixed"]
RULES: tuple[Rule, ...] = get_args(Rule)

# What a look decides.
Action = Literal["ship", "prefer", "roll_back", "keep_running", "stop_inconclusive", "halt"]
ACTIONS: tuple[Action, ...] = get_args(Action)

FeedbackKind = Literal[
    "thumb", "rating", "reasons", "text", "hide", "correction", "pairwise",
    "edit", "regenerate", "copy", "abandon", "accept", "survey",
]  # fmt: skip
FEEDBACK_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)

# What a survey's question is answered with: a number of a scale, one choice, several, or a text.
SurveyKind = Literal["nps", "csat", "rating", "choice", "choices", "text"]
SURVEY_KINDS: tuple[SurveyKind, ...] = get_args(SurveyKind)

FeedbackState = Literal["pending", "ok", "hidden", "spam"]
FEEDBACK_STATES: tuple[FeedbackState, ...] = get_args(FeedbackState)


def direction_of(*, increase_is_good: bool) -> Direction:
    """Return the direction that is good: until 0.1 it was written as a boolean."""
    return "increase" if increase_is_good else "decrease"
