"""Why there is no interval of quality, as it is stored in English and as pages say it."""

from __future__ import annotations

from django.utils.translation import gettext_noop

JUDGE_SENTENCES: tuple[tuple[str, str], ...] = (
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
    ("no judge is set", gettext_noop("No judge is set")),
)
