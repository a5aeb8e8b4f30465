"""What looks say and why they decide, as it is stored and as pages say it."""

from __future__ import annotations

from django.utils.translation import gettext_noop

LOOK_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        "users prefer {variant}: p = {p}, about {lift} clicks, below the {limit} from which "
        "interleaving is reliable",
        gettext_noop(
            "Users prefer %(variant)s: p = %(p)s, about %(lift)s clicks, below the %(limit)s from "
            "which interleaving is reliable"
        ),
    ),
    (
        "users prefer {variant}: p = {p}, about {lift} clicks",
        gettext_noop("Users prefer %(variant)s: p = %(p)s, about %(lift)s clicks"),
    ),
    (
        "no preference about '{variant}' is shown yet: p = {p}",
        gettext_noop("No preference about '%(variant)s' is shown yet: p = %(p)s"),
    ),
    (
        "the checks of '{variant}' contradict each other: p = {p}",
        gettext_noop("The checks of '%(variant)s' contradict each other: p = %(p)s"),
    ),
    (
        "the control failed in {share} of the recommendations, must be at most {limit}",
        gettext_noop(
            "The control failed in %(share)s of the recommendations; at most %(limit)s are allowed"
        ),
    ),
    (
        "'{variant}' failed in {share} of the recommendations, must be at most {limit}",
        gettext_noop(
            "%(variant)s failed in %(share)s of the recommendations; at most %(limit)s are allowed"
        ),
    ),
    (
        "a version failed in {share} of the recommendations, must be at most {limit}",
        gettext_noop(
            "A version failed in %(share)s of the recommendations; at most %(limit)s are allowed"
        ),
    ),
    (
        "clusters of '{variant}' == {count}, must be at least {minimum} in each variant: with fewer, "
        "no interval keeps its level",
        gettext_noop(
            "Only %(count)s clusters of %(variant)s have analysed users; %(minimum)s are needed in "
            "each variant"
        ),
    ),
    (
        "blocks of '{variant}' == {count}, must be at least {minimum} in each variant: with fewer, no "
        "interval keeps its level",
        gettext_noop(
            "Only %(count)s blocks of time of %(variant)s are over; %(minimum)s are needed in each "
            "variant"
        ),
    ),
    (
        "units per cluster == 1 in all {count} clusters, must be several in some: where each user is "
        "randomised, split users",
        gettext_noop("Each of the %(count)s clusters has one user: split users instead"),
    ),
    (
        "no epoch is over with all windows closed yet",
        gettext_noop("No update of the shares is complete yet"),
    ),
    ("the experiment is not healthy", gettext_noop("The experiment is not healthy")),
    (
        "too little is new since the last look",
        gettext_noop("Too little new data since the last analysis"),
    ),
    ("alpha is spent", gettext_noop("All of alpha is spent")),
    ("alpha is spent: {why}", gettext_noop("All of alpha is spent. %(why)s")),
    ("the one look was taken", gettext_noop("The one planned analysis is done")),
    ("the one look was taken: {why}", gettext_noop("The one planned analysis is done. %(why)s")),
    (
        "the one look is at {planned} units, {units} are complete",
        gettext_noop("The analysis takes place at %(planned)s users; %(units)s are complete"),
    ),
    (
        "the one look is at {planned} blocks, {units} are complete",
        gettext_noop("The analysis takes place at %(planned)s blocks of time; %(units)s are over"),
    ),
    (
        "{units} blocks passed without a verdict: {why}",
        gettext_noop("No verdict after %(units)s blocks of time. %(why)s"),
    ),
    (
        "futile: neither direction has a {share} chance of a verdict by the planned units",
        gettext_noop(
            "Futile: neither direction has a %(share)s chance of a verdict by the planned users"
        ),
    ),
    (
        "{units} units passed without a verdict: {why}",
        gettext_noop("No verdict after %(units)s users. %(why)s"),
    ),
    (
        "better ({why}), waiting for the minimum run: {run} s of {minimum} s",
        gettext_noop("%(why)s. Waiting for the minimum duration: %(run)s s of %(minimum)s s"),
    ),
    (
        "better, but guardrail '{metric}' is not yet shown to be safe",
        gettext_noop("Better, but guardrail '%(metric)s' is not shown to be safe yet"),
    ),
    (
        "better, but guardrail '{metric}' is not yet shown to be safe: {why}",
        gettext_noop("Better, but guardrail '%(metric)s' is not shown to be safe yet. %(why)s"),
    ),
    (
        "better, but a lift of {lift} beyond ±{limit} is too good to be believed unseen: a person must "
        "ship it",
        gettext_noop(
            "Better, but a lift of %(lift)s (limit ±%(limit)s) looks too good to be true: a person "
            "must ship it"
        ),
    ),
    ("guardrail '{metric}' is harmed ({why})", gettext_noop("Guardrail '%(metric)s' got worse")),
    (
        "breaker: '{metric}' in {treated} users of '{variant}' and {controlled} of the control",
        gettext_noop(
            "Circuit breaker: '%(metric)s' in %(treated)s users of '%(variant)s' and "
            "%(controlled)s of the control"
        ),
    ),
    (
        "breaker: '{metric}' is worse in {treated} users of '{variant}' than in {controlled} of the "
        "control",
        gettext_noop(
            "Circuit breaker: '%(metric)s' is worse in %(treated)s users of '%(variant)s' than in "
            "%(controlled)s of the control"
        ),
    ),
    (
        "shipped as the better bet ({chance} likely better); not proven",
        gettext_noop("Shipped as the better bet (%(chance)s likely better), not proven"),
    ),
    ("no treatment takes traffic", gettext_noop("No treatment takes traffic")),
    (
        "'{variant}' leaves the traffic, the others run on: {why}",
        gettext_noop("'%(variant)s' was removed, the others keep running. %(why)s"),
    ),
    ("'{variant}' leaves the traffic ({why})", gettext_noop("'%(variant)s' was removed. %(why)s")),
)
