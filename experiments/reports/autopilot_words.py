"""Stored sentences of the autopilot, and how pages say them: rows of `stored_sentences`."""

from __future__ import annotations

from django.utils.translation import gettext_noop

# Units of the value `duration` of a sentence, such as "24 hours". The singular has texts of its own:
# those of templates have plural forms, which a plain look-up does not find in every version of Python.
DURATIONS = {
    "day": gettext_noop("1 day"),
    "days": gettext_noop("%(count)s days"),
    "hour": gettext_noop("1 hour"),
    "hours": gettext_noop("%(count)s hours"),
    "minute": gettext_noop("1 minute"),
    "minutes": gettext_noop("%(count)s minutes"),
    "seconds": gettext_noop("%(count)s seconds"),
}
AUTOPILOT_SENTENCES: tuple[tuple[str, str], ...] = (
    # Why a version left the queue
    ("superseded by {version}", gettext_noop("Superseded by %(version)s")),
    (
        "learnt from older data than the champion, {version}",
        gettext_noop("Trained on older data than the champion, %(version)s"),
    ),
    (
        "{version} lost with the same data and parameters",
        gettext_noop("%(version)s lost with the same data and parameters"),
    ),
    ("dropped by a person", gettext_noop("Dropped by a person")),
    ("dropped by key {key}", gettext_noop("Dropped by API key %(key)s")),
    # What people decided
    ("declined by {person}: {reason}", gettext_noop("Declined by %(person)s: %(reason)s")),
    ("declined by {person}", gettext_noop("Declined by %(person)s")),
    ("rolled back by a person", gettext_noop("Rolled back by a person")),
    ("rolled back by key {key}", gettext_noop("Rolled back by API key %(key)s")),
    ("held by {person}: {reason}", gettext_noop("Held by %(person)s: %(reason)s")),
    ("held by {person}", gettext_noop("Held by %(person)s")),
    ("the experiment ended: {why}", gettext_noop("The experiment ended: %(why)s")),
    ("the holdback ended", gettext_noop("The holdback ended")),
    # Refits of the champion
    (
        "refit of {version}, not worse than it: {metric} {change} ({interval})",
        gettext_noop("Refit of %(version)s, not worse: %(metric)s %(change)s (%(interval)s)"),
    ),
    (
        "refit of {version}, better than it: {metric} {change} ({interval})",
        gettext_noop("Refit of %(version)s, better: %(metric)s %(change)s (%(interval)s)"),
    ),
    (
        "refit of {version}, whatever the comparison: {metric} {change} ({interval})",
        gettext_noop(
            "Refit of %(version)s, whatever the comparison: %(metric)s %(change)s (%(interval)s)"
        ),
    ),
    (
        "refit of {version}, hardly anything is newer than its data: the recipes are alike",
        gettext_noop("Refit of %(version)s: hardly anything is newer than its data"),
    ),
    (
        "refit, compared with nothing: {reason}",
        gettext_noop("Refit that was not compared: %(reason)s"),
    ),
    (
        "breaker: refit {version} is undone: {reason}",
        gettext_noop("Circuit breaker: refit %(version)s was undone: %(reason)s"),
    ),
    # What the next step of a ramp needs
    ("{duration} at this step", gettext_noop("%(duration)s at this step")),
    ("{duration} since the start", gettext_noop("%(duration)s since the start")),
    ("{users} users in the treatment", gettext_noop("%(users)s users in the treatment")),
    ("guardrail '{metric}' within {margin}", gettext_noop("%(metric)s within %(margin)s")),
    ("analysis {number}: {why}", gettext_noop("Analysis %(number)s: %(why)s")),
    ("the experiment is switched off", gettext_noop("The experiment is turned off")),
    (
        "next step after {users} users or {duration}, whichever is later",
        gettext_noop("next step after %(users)s users or %(duration)s, whichever is later"),
    ),
    ("next step {duration} after the start", gettext_noop("next step %(duration)s after the start")),
    # What the autopilot does now
    (
        "The ramp of {experiment} is held at {share}: {why}",
        gettext_noop("The ramp of %(experiment)s is held at %(share)s: %(why)s"),
    ),
    ("'{key}' would ship: needs approval", gettext_noop("'%(key)s' would ship: needs approval")),
    ("'{key}' runs until its verdict", gettext_noop("'%(key)s' runs until its verdict")),
    (
        "'{key}' screens challengers by interleaving",
        gettext_noop("'%(key)s' screens challengers by interleaving"),
    ),
    ("'{key}' is held at {share}: {why}", gettext_noop("'%(key)s' is held at %(share)s: %(why)s")),
    ("'{key}' is at {share}: {why}", gettext_noop("'%(key)s' is at %(share)s: %(why)s")),
    (
        "{version} waits for a person: its gate could not judge it",
        gettext_noop("%(version)s waits for a person: its gate could not evaluate it"),
    ),
    (
        "{version} starts its experiment next",
        gettext_noop("%(version)s starts its experiment next"),
    ),
    ("No challenger waits", gettext_noop("No challenger is waiting")),
    ("{why_now}. {version} waits", gettext_noop("%(why_now)s. %(version)s is waiting")),
    (
        "No primary metric: no automatic experiment starts",
        gettext_noop("No primary metric: no automatic experiment starts"),
    ),
    ("The autopilot is paused", gettext_noop("The autopilot is paused")),
    (
        "start_experiments is off: people start experiments",
        gettext_noop("Auto-start is off: people start experiments"),
    ),
    (
        "Cool-down of {days} days after '{key}'",
        gettext_noop("Cool-down of %(days)s days after '%(key)s'"),
    ),
    # What a person should know of the settings
    (
        "Challengers are not screened by interleaving: {why}",
        gettext_noop("Challengers are not screened by interleaving: %(why)s"),
    ),
    (
        "primary metric == '{metric}', must count an event of items, such as a click, without filters: "
        "it is credited to the version that ranked the item higher.",
        gettext_noop(
            "the primary metric '%(metric)s' must count an event of items, such as a click, without "
            "filters"
        ),
    ),
    (
        "value of '{metric}' == '{value}', must be 'count' or 'items': interleaving counts events.",
        gettext_noop("'%(metric)s' adds up values (%(value)s), and interleaving counts events"),
    ),
    (
        "cap of '{metric}' is set, must be none: interleaving has a bound of its own.",
        gettext_noop("'%(metric)s' has a cap, and interleaving has a bound of its own"),
    ),
    (
        "Primary metric '{metric}' has no events in the last {days} days: it cannot decide anything",
        gettext_noop(
            "Primary metric '%(metric)s' has no events in the last %(days)s days: it cannot decide "
            "anything"
        ),
    ),
    (
        "Guardrail '{metric}' has no events in the last {days} days: it cannot warn of anything",
        gettext_noop(
            "Guardrail '%(metric)s' has no events in the last %(days)s days: it cannot warn of anything"
        ),
    ),
    # What is refused of the settings
    (
        "{name} == {value}, must be a number in {range}",
        gettext_noop("%(name)s is %(value)s; it must be a number in %(range)s"),
    ),
    (
        "ramp[{place}].share == {share}, must be above {before}: steps rise",
        gettext_noop("Each step must be above the one before: %(share)s is not above %(before)s"),
    ),
    ("ramp == [], must be 1 to {maximum} steps", gettext_noop("The ramp needs at least one step")),
    (
        "guardrails == {keys}, must be different metrics: each has one margin",
        gettext_noop("Each guardrail must be a different metric: %(keys)s"),
    ),
    (
        "guardrails == '{metric}', must be another metric than the primary one, which is watched for "
        "losses anyway",
        gettext_noop(
            "%(metric)s is the primary metric, which is watched for losses anyway: choose another "
            "guardrail"
        ),
    ),
    (
        "{name} == {value}, must be a metric of this project: one of {values}",
        gettext_noop("%(value)s is not a metric of this project; choose one of %(values)s"),
    ),
    (
        "{settings} of surface '{key}' would guard users less: a second person must approve proposal "
        "{number}",
        gettext_noop(
            "This change of '%(key)s' would guard users less (%(settings)s): a second person must "
            "approve proposal %(number)s"
        ),
    ),
    (
        "would guard users less: {settings}",
        gettext_noop("This change would guard users less: %(settings)s"),
    ),
    (
        "experiment '{key}' waits for a second person: approve proposal {number}",
        gettext_noop(
            "More users would meet a treatment of '%(key)s': a second person must approve proposal "
            "%(number)s"
        ),
    ),
    (
        "what is tested would be shown to more users",
        gettext_noop("What is tested would be shown to more users"),
    ),
    (
        "experiment '{key}' has changed since proposal {number} ({fields}): propose it again",
        gettext_noop("'%(key)s' has changed since proposal %(number)s; propose it again"),
    ),
    (
        "draft '{key}' was edited since it was proposed: propose it again",
        gettext_noop("The draft '%(key)s' was edited since it was proposed; propose it again"),
    ),
    ("another change was proposed", gettext_noop("Another change was proposed")),
    # What is refused of the queue, the ramp and proposals
    (
        "{version} is {state}, must wait for its experiment: a challenger that is in none",
        gettext_noop("%(version)s is %(state)s; it must wait for its experiment"),
    ),
    (
        "experiment '{key}' has no further step of its ramp",
        gettext_noop("Experiment '%(key)s' has no further ramp step"),
    ),
    (
        "proposal {number} is {state}, must be open",
        gettext_noop("Proposal %(number)s is already %(state)s"),
    ),
    (
        "'{person}' has approved proposal {number} already: a second person must approve",
        gettext_noop(
            "%(person)s has already approved proposal %(number)s: a second person must approve"
        ),
    ),
    (
        "experiment '{key}' needs two approvals to ship: approve proposal {number}",
        gettext_noop("Experiment '%(key)s' needs two approvals to ship: approve proposal %(number)s"),
    ),
    (
        "{version} is the champion of '{surface}' already",
        gettext_noop("%(version)s is already the champion of '%(surface)s'"),
    ),
    (
        "surface '{surface}' has a running experiment: stop it first, or in the same act with "
        "stop_experiment (`--stop-experiment`)",
        gettext_noop("Surface '%(surface)s' has a running experiment: stop it first"),
    ),
    (
        "{version} is not promoted: the cache does not answer, so web processes cannot be asked "
        "whether they have loaded it ({error})",
        gettext_noop(
            "%(version)s was not promoted: the cache does not answer, so web processes cannot confirm "
            "that they have loaded it (`%(error)s`)"
        ),
    ),
    (
        "{version} cannot be served: {error}",
        gettext_noop("%(version)s cannot be served: `%(error)s`"),
    ),
)
