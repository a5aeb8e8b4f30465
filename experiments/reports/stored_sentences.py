"""Sentences that are stored in English, and how pages say them.

Each row names a stored sentence, its values in braces, and the words of pages. A value whose name
begins with `why` is a stored sentence itself.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from experiments.reports.account_words import ACCOUNT_SENTENCES
from experiments.reports.alert_words import ALERT_SENTENCES
from experiments.reports.archive_words import ARCHIVE_SENTENCES
from experiments.reports.autopilot_words import AUTOPILOT_SENTENCES
from experiments.reports.judge_words import JUDGE_SENTENCES
from experiments.reports.label_words import LABEL_SENTENCES
from experiments.reports.look_words import LOOK_SENTENCES
from experiments.reports.picture_words import PICTURE_SENTENCES
from experiments.reports.plan_sentences import PLAN_SENTENCES
from experiments.reports.run_words import RUN_SENTENCES
from experiments.reports.slate_words import SLATE_SENTENCES
from experiments.reports.survey_words import SURVEY_SENTENCES

SENTENCES: tuple[tuple[str, str], ...] = (
    # First: what a later sentence would match too, word by word.
    *ACCOUNT_SENTENCES,
    *ARCHIVE_SENTENCES,
    *ALERT_SENTENCES,
    *SLATE_SENTENCES,
    *JUDGE_SENTENCES,
    *LABEL_SENTENCES,
    *SURVEY_SENTENCES,
    *PICTURE_SENTENCES,
    *PLAN_SENTENCES,
    # What a look says by its rule
    ("better: z = {z} beyond ±{bound}", gettext_noop("Significant: z = %(z)s, needed %(bound)s")),
    ("better: e = {e} reached {bound}", gettext_noop("Significant: e = %(e)s, needed %(bound)s")),
    (
        "worse: z = {z} beyond ±{bound}",
        gettext_noop("Significantly worse: z = %(z)s, needed %(bound)s"),
    ),
    (
        "worse: e = {e} reached {bound}",
        gettext_noop("Significantly worse: e = %(e)s, needed %(bound)s"),
    ),
    ("z = {z} beyond ±{bound}", gettext_noop("Significant: z = %(z)s, needed %(bound)s")),
    ("e = {e} reached {bound}", gettext_noop("Significant: e = %(e)s, needed %(bound)s")),
    ("z = {z} within ±{bound}", gettext_noop("Not significant: z = %(z)s, needed %(bound)s")),
    ("e = {e} below {bound}", gettext_noop("Not significant: e = %(e)s, needed %(bound)s")),
    *LOOK_SENTENCES,
    # What a holdback says, and why it ended before its days were over
    (
        "still {lift} ({low} to {high}) after {duration}",
        gettext_noop("Still %(lift)s (%(low)s to %(high)s) after %(duration)s"),
    ),
    (
        "the gain is gone: {lift} ({low} to {high}) after {duration}",
        gettext_noop(
            "The gain is gone: %(lift)s against the former version (%(low)s to %(high)s) after "
            "%(duration)s"
        ),
    ),
    (
        "no clear gain: {lift} ({low} to {high}) after {duration}",
        gettext_noop("No clear gain: %(lift)s (%(low)s to %(high)s) after %(duration)s"),
    ),
    (
        "everybody against the holdout: {lift} ({low} to {high}) after {duration}",
        gettext_noop("Everyone against the holdout: %(lift)s (%(low)s to %(high)s) after %(duration)s"),
    ),
    ("there is no holdout any more", gettext_noop("There is no holdout any more")),
    ("the holdout's share changed", gettext_noop("The holdout's share changed")),
    (
        "the surface's primary metric changed",
        gettext_noop("The primary metric of the surface changed"),
    ),
    ("the quarter is over", gettext_noop("The quarter is over")),
    (
        "Proposed: go back to {version} on surface '{surface}'; one person must approve. {why}",
        gettext_noop(
            "Proposed: restore %(version)s on '%(surface)s'; one person must approve. %(why)s"
        ),
    ),
    (
        "Proposed: go back to {version} on surface '{surface}'; two people must approve. {why}",
        gettext_noop(
            "Proposed: restore %(version)s on '%(surface)s'; two people must approve. %(why)s"
        ),
    ),
    (
        "Proposed: ship {version} on surface '{surface}'; one person must approve. {why}",
        gettext_noop("Proposed: ship %(version)s on '%(surface)s'; one person must approve. %(why)s"),
    ),
    (
        "Proposed: ship {version} on surface '{surface}'; two people must approve. {why}",
        gettext_noop("Proposed: ship %(version)s on '%(surface)s'; two people must approve. %(why)s"),
    ),
    (
        "Proposed: ship {version} on surface '{surface}'; a second person must approve. {why}",
        gettext_noop(
            "Proposed: ship %(version)s on '%(surface)s'; a second person must approve. %(why)s"
        ),
    ),
    (
        "{version} waits for a second person on surface '{surface}': approve proposal {number}.",
        gettext_noop(
            "%(version)s on '%(surface)s' needs a second person: approve proposal %(number)s on the "
            "page Autopilot"
        ),
    ),
    ("On surface '{surface}' {why}", gettext_noop("Surface '%(surface)s': %(why)s")),
    ("nothing is measured yet", gettext_noop("Nothing is measured yet")),
    (
        "too few conversions after {duration}: {count} of {required} needed per version",
        gettext_noop(
            "Too few conversions after %(duration)s: %(count)s of the %(required)s needed per version"
        ),
    ),
    (
        "too few users with a value after {duration}: {count} of {required} needed per version",
        gettext_noop(
            "Too few users with a value after %(duration)s: %(count)s of the %(required)s needed per "
            "version"
        ),
    ),
    ("about {duration} more at this pace", gettext_noop("About %(duration)s more at this pace")),
    (
        "no outcomes yet: those of the first users are complete after {duration}",
        gettext_noop("No outcomes yet: those of the first users are complete after %(duration)s"),
    ),
    ("{version} took its place", gettext_noop("%(version)s took its place")),
    ("{version} was rejected", gettext_noop("%(version)s was rejected")),
    ("{version} is the champion again", gettext_noop("%(version)s is the champion again")),
    # What a look says of its counts
    (
        "expected conversions in '{variant}' == {count}, must be at least {minimum} before a ship",
        gettext_noop(
            "Too few conversions: %(count)s expected in '%(variant)s', shipping needs %(minimum)s"
        ),
    ),
    (
        "expected units with a value in '{variant}' == {count}, must be at least {minimum} before a "
        "ship",
        gettext_noop(
            "Too few users with a value: %(count)s expected in '%(variant)s', shipping needs "
            "%(minimum)s"
        ),
    ),
    (
        "no unit has completed its window yet",
        gettext_noop("No user has completed the conversion window yet"),
    ),
    (
        "standard error == 0, must be positive: every unit has one value.",
        gettext_noop("Every user has the same value, so there is no interval"),
    ),
    (
        "no epoch has two variants with at least two units each.",
        gettext_noop("No epoch has two variants with at least two users each"),
    ),
    ("n == {n}, must be at least 2.", gettext_noop("Too few users: %(n)s, at least 2 are needed")),
    (
        "sum of the denominator == 0, must not be zero.",
        gettext_noop("The denominator is zero for every user"),
    ),
    (
        "quantile {q} == 0 in both variants, must differ from 0 in one.",
        gettext_noop("Quantile %(q)s is 0 in both variants"),
    ),
    (
        "units == {units}, must be more than {minimum} for the interval of the quantile {q}.",
        gettext_noop(
            "Too few users for the interval of quantile %(q)s: %(units)s, more than %(minimum)s are "
            "needed"
        ),
    ),
    ("the interval of the odds has no end yet", gettext_noop("The interval is still open")),
    # What a look says of its health
    (
        "units leaked into variants of weight zero: {leaks}",
        gettext_noop("Users were exposed to variants with weight 0: %(leaks)s"),
    ),
    (
        "sample ratio mismatch: p = {p} < {alpha}, observed {observed}, expected {expected}",
        gettext_noop("Traffic is not split as planned: observed %(observed)s, expected %(expected)s"),
    ),
    (
        "sample ratio mismatch: p = {p} < {alpha}, observed {observed}, expected {expected}: only "
        "among exposures that public keys claim, so it runs on and no verdict is given; send exposures "
        "with a secret key, or stop it",
        gettext_noop(
            "Traffic is not split as planned: observed %(observed)s, expected %(expected)s. Only "
            "exposures sent with public keys are affected, so it keeps running without a verdict: send "
            "exposures with a secret key, or stop the experiment"
        ),
    ),
    (
        "share of units seen in two variants == {share}, must be at most {maximum}",
        gettext_noop("Share of users seen in both variants: %(share)s, the maximum is %(maximum)s"),
    ),
    (
        "excluded units (bots, internal) differ between variants: p = {p} < {alpha}, observed "
        "{observed}, expected {expected}",
        gettext_noop(
            "Excluded users (bots, internal) are not split as planned: observed %(observed)s, expected "
            "%(expected)s"
        ),
    ),
    (
        "variant '{variant}' cannot serve: {version} cannot be loaded by web process {process}",
        gettext_noop(
            "variant '%(variant)s' cannot serve: web process %(process)s cannot load %(version)s"
        ),
    ),
    # Decisions and the status of versions
    ("stopped by a person", gettext_noop("Stopped by a person")),
    ("shipped by a person", gettext_noop("Shipped by a person")),
    ("stopped by key {key}", gettext_noop("Stopped by API key %(key)s")),
    ("shipped by key {key}", gettext_noop("Shipped by API key %(key)s")),
    ("sent by key {key}", gettext_noop("Sent by API key %(key)s")),
    ("promoted by key {key}", gettext_noop("Promoted by API key %(key)s")),
    ("by a person", gettext_noop("By a person")),
    (
        "first version of a surface without a champion",
        gettext_noop("First version of a surface without a champion"),
    ),
    ("before its experiment", gettext_noop("Shadow traffic before its experiment")),
    ("in shadow: {why}", gettext_noop("Shadow traffic: %(why)s")),
    (
        "{why}; errors must be at most {share} of the answers",
        gettext_noop("%(why)s; at most %(share)s of the answers may be errors"),
    ),
    ("{version} took its place: {why}", gettext_noop("Replaced by %(version)s. %(why)s")),
    (
        "{why} (against the gate: it {why_not})",
        gettext_noop("%(why)s (against the gate: %(why_not)s)"),
    ),
    ("passed the gate", gettext_noop("Passed the gate")),
    ("{version} passed the gate", gettext_noop("%(version)s passed the gate")),
    (
        "{version} refused by the gate: {why}",
        gettext_noop("%(version)s was rejected by the gate. %(why)s"),
    ),
    *RUN_SENTENCES,
    # Drift
    ("prediction: first score", gettext_noop("Prediction: first score")),
    ("prediction: first answer", gettext_noop("Prediction: first answer")),
    ("rate: fallback", gettext_noop("Rate: fallbacks")),
    ("rate: event names", gettext_noop("Rate: events by name")),
    ("feature: text length", gettext_noop("Feature: text length")),
    ("feature: {name}", gettext_noop("Feature: %(name)s")),
    ("value of {name}", gettext_noop("Value of %(name)s")),
    # Processes
    ("queue {name}", gettext_noop("Queue %(name)s")),
    (
        "no worker takes from it; waiting: {count}",
        gettext_noop("No worker reads from it; %(count)s tasks are waiting"),
    ),
    (
        "has given no sign of life for {seconds} s",
        gettext_noop("No heartbeat for %(seconds)s s"),
    ),
    (
        "has been in the task {task} for {seconds} s",
        gettext_noop("Busy with the task %(task)s for %(seconds)s s"),
    ),
    (
        "it does not run, so nothing is looked at in time",
        gettext_noop("Not running, so no analysis starts on time"),
    ),
    (
        "`bakeoff up` starts it again; elsewhere restart it, and see its log.",
        gettext_noop("`bakeoff up` restarts it. Otherwise restart it yourself and check its log."),
    ),
    # Refusals
    ("no reason kept", gettext_noop("no reason recorded")),
    (
        "experiment '{key}' is {state}, must be {needed}",
        gettext_noop("Experiment '%(key)s' is %(state)s; it must be %(needed)s"),
    ),
    ("variant == '', not found in experiment '{key}'", gettext_noop("Choose a variant.")),
    ("variant == '{variant}', not found in experiment '{key}'", gettext_noop("Choose a variant.")),
    ("{name} == '', must be the name of an event", gettext_noop("%(name)s is empty")),
    ("was judged by no gate", gettext_noop("it has no gate result")),
    ("was refused by its gate: {why}", gettext_noop("rejected by its gate: %(why)s")),
    (
        "{name} == {value}, must be at least {minimum}",
        gettext_noop("%(name)s is %(value)s; it must be at least %(minimum)s"),
    ),
    (
        "{name} == {value}, must be at most {maximum} or {limit} times the champion's {other}: it is "
        "at least {low} times",
        gettext_noop(
            "%(name)s is %(value)s; it must be at most %(maximum)s or %(limit)s times the champion's "
            "%(other)s, and is at least %(low)s times that"
        ),
    ),
    (
        "mean cost of a decision == {value}, must be at most {maximum} ({name} {other} plus {share})",
        gettext_noop(
            "The mean cost of a decision is %(value)s; it must be at most %(maximum)s "
            "(%(name)s %(other)s plus %(share)s)"
        ),
    ),
    (
        "mean cost of a decision is higher than that of {name} by {low} to {high}, must not be higher",
        gettext_noop(
            "The mean cost of a decision is higher than that of %(name)s by %(low)s to %(high)s"
        ),
    ),
    (
        "{name} == {value}, must be at most {maximum}",
        gettext_noop("%(name)s is %(value)s; it must be at most %(maximum)s"),
    ),
    (
        "{name} == {value}, must be in {range}",
        gettext_noop("%(name)s is %(value)s; it must be in %(range)s"),
    ),
    (
        "{name} == {value}, must be one of {values}",
        gettext_noop("%(name)s is %(value)s; it must be one of %(values)s"),
    ),
    (
        "generate.public == true, must have budgets for unit and address: whoever has the page has the "
        "key.",
        gettext_noop("A public surface needs a budget per user and one per address"),
    ),
    (
        "{name} == '{value}', exists already in this project.",
        gettext_noop("%(name)s '%(value)s' already exists in this project"),
    ),
    (
        "survey '{key}' is on, must be off: a surface asks one question at a time",
        gettext_noop(
            "Survey '%(key)s' is on: turn it off first, a surface asks one question at a time"
        ),
    ),
    # Last: some match much.
    *AUTOPILOT_SENTENCES,
)
