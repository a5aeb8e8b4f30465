"""What is refused of judging, and why there is no interval of quality, in the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

JUDGE_SENTENCES: tuple[tuple[str, str], ...] = (
    # What is refused of the settings
    (
        "judge == {value}, must be a version of another surface, as surface/name@number.",
        gettext_noop("The judge must be a version of another surface."),
    ),
    (
        "rubric == {value}, must be a text of at most {maximum} characters.",
        gettext_noop("At most %(maximum)s characters."),
    ),
    (
        "points == {value}, must be a whole number in {range}.",
        gettext_noop("Enter a whole number in %(range)s."),
    ),
    (
        "units with a label of the {name} == {count}, must be at least {minimum}.",
        gettext_noop("%(name)s: %(count)s users with a rated answer, at least %(minimum)s are needed"),
    ),
    (
        "labels of the {name} == {value} throughout, must differ: their spread is unknown.",
        gettext_noop("%(name)s: all ratings are the same, so their spread is unknown"),
    ),
    (
        "judged units of the {name} == {count}, must be at least 2.",
        gettext_noop("%(name)s: too few judged answers"),
    ),
    (
        "the judge's scores of the {name} == {value} throughout, must differ.",
        gettext_noop("%(name)s: the judge gives every answer the same score"),
    ),
    (
        "{gate} may be worse by {loss} (95% of {rows} rows), must be at most {margin}",
        gettext_noop(
            "%(gate)s: may be worse by %(loss)s (95%% of %(rows)s rows), at most %(margin)s is accepted"
        ),
    ),
    (
        "{gate} == {share} of {rows} rows, must be at least {minimum}",
        gettext_noop("%(gate)s: %(share)s of %(rows)s rows, at least %(minimum)s is needed"),
    ),
    (
        "{gate} may be {ratio} times the champion's, must be at most {maximum} times",
        gettext_noop(
            "%(gate)s: may be %(ratio)s times the champion's, at most %(maximum)s times is accepted"
        ),
    ),
    (
        "{gate} == {value}, must be 0 as the champion's is, or have an interval",
        gettext_noop("%(gate)s: %(value)s, which cannot be compared with the champion's"),
    ),
    (
        "the judge's budget of the day is spent: {spent} of {limit}.",
        gettext_noop("The judge's budget of the day is spent: %(spent)s of %(limit)s"),
    ),
    ("no judge is set", gettext_noop("No judge is set")),
)
