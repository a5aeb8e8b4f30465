"""Words of pages for what alerts store: kinds, events, states, and why a delivery failed."""

from __future__ import annotations

from django.utils.translation import gettext_noop

ALERT_NAMES = {
    "alert webhook": gettext_noop("Webhook"),
    "alert slack": gettext_noop("Slack"),
    "alert email": gettext_noop("E-mail"),
    "alert verdict": gettext_noop("Verdict"),
    "alert breaker_trip": gettext_noop("Breaker tripped"),
    "alert halt": gettext_noop("Experiment halted"),
    "alert ramp_held": gettext_noop("Ramp step held"),
    "alert decision_needed": gettext_noop("Decision needed"),
    "alert training_failed": gettext_noop("Training failed"),
    "alert training_refused": gettext_noop("Rejected by the gate"),
    "alert drift": gettext_noop("Drift"),
    "alert holdback_lost": gettext_noop("Gain lost"),
    "alert theme_new": gettext_noop("New theme"),
    "alert theme_growing": gettext_noop("Growing theme"),
    "alert buffer_filling": gettext_noop("Buffer filling"),
    "alert worker_gone": gettext_noop("Process gone"),
    "alert quota": gettext_noop("Quota used"),
    "alert mention": gettext_noop("Mention"),
    "quota answers": gettext_noop("answers"),
    "quota events and feedback": gettext_noop("events and feedback"),
    "quota tokens": gettext_noop("tokens"),
    "alert digest": gettext_noop("Weekly digest"),
    "alert test": gettext_noop("Test"),
    "alert waiting": gettext_noop("Waiting"),
    "alert delivered": gettext_noop("Delivered"),
    "alert dead": gettext_noop("Dead letter"),
}
ALERT_SENTENCES: tuple[tuple[str, str], ...] = (
    # Why a delivery failed
    (
        "status == {status}, must be 2xx; redirects are not followed.",
        gettext_noop("The receiver answered %(status)s; redirects are not followed"),
    ),
    (
        "status == {status}, must be 2xx.",
        gettext_noop("The receiver answered %(status)s; 2xx is expected"),
    ),
    (
        "url == '{url}', gave no usable answer within {time} ms, or is no address that may be asked "
        "(see {setting}).",
        gettext_noop(
            "No usable answer from %(url)s within %(time)s ms, or %(setting)s does not allow it"
        ),
    ),
    (
        "SMTP status == {status}, must be 2xx.",
        gettext_noop("The mail server answered %(status)s; 2xx is expected"),
    ),
    (
        "the SMTP server refuses the recipient ({answer}): check the address.",
        gettext_noop("The mail server rejects the recipient (%(answer)s): check the address"),
    ),
    (
        "the SMTP server refuses the sign-in ({answer}): check BAKEOFF_SMTP_USER and "
        "BAKEOFF_SMTP_PASSWORD.",
        gettext_noop(
            "The mail server rejects the sign-in (%(answer)s): check BAKEOFF_SMTP_USER and "
            "BAKEOFF_SMTP_PASSWORD"
        ),
    ),
    (
        "the SMTP server refuses the sender ({answer}): set BAKEOFF_SMTP_FROM to an address that it "
        "sends for.",
        gettext_noop(
            "The mail server rejects the sender (%(answer)s): set BAKEOFF_SMTP_FROM to an address that "
            "it sends for"
        ),
    ),
    (
        "the SMTP server answers {answer}: try again later.",
        gettext_noop("The mail server answered %(answer)s: try again later"),
    ),
    (
        "the SMTP server answers {answer}: ask who runs it.",
        gettext_noop("The mail server answered %(answer)s: ask who runs it"),
    ),
    (
        "the SMTP server at {address} does not speak as set: check BAKEOFF_SMTP_SECURITY and "
        "BAKEOFF_SMTP_PORT.",
        gettext_noop(
            "The mail server at %(address)s expects another encryption: check BAKEOFF_SMTP_SECURITY "
            "and BAKEOFF_SMTP_PORT"
        ),
    ),
    (
        "TLS with the SMTP server at {address} fails ({error}): check its certificate, "
        "BAKEOFF_SMTP_SECURITY and BAKEOFF_SMTP_PORT.",
        gettext_noop(
            "TLS with the mail server at %(address)s fails (%(error)s): check its certificate, "
            "BAKEOFF_SMTP_SECURITY and BAKEOFF_SMTP_PORT"
        ),
    ),
    (
        "the SMTP server '{host}' has no address: check BAKEOFF_SMTP_HOST.",
        gettext_noop("The mail server %(host)s has no address: check BAKEOFF_SMTP_HOST"),
    ),
    (
        "no SMTP server listens at {address}: check BAKEOFF_SMTP_HOST and BAKEOFF_SMTP_PORT.",
        gettext_noop(
            "No mail server listens at %(address)s: check BAKEOFF_SMTP_HOST and BAKEOFF_SMTP_PORT"
        ),
    ),
    (
        "the SMTP server at {address} said nothing for {seconds} s: check BAKEOFF_SMTP_HOST and "
        "BAKEOFF_SMTP_PORT, and firewalls between.",
        gettext_noop(
            "The mail server at %(address)s did not answer within %(seconds)s s: check "
            "BAKEOFF_SMTP_HOST and BAKEOFF_SMTP_PORT, and firewalls between"
        ),
    ),
    # As releases before said it
    (
        "the SMTP server refuses the recipient.",
        gettext_noop("The mail server rejects the recipient"),
    ),
    (
        "the SMTP server does not take it: {error}.",
        gettext_noop("The mail server does not accept it: %(error)s"),
    ),
    (
        "BAKEOFF_SMTP_HOST is not set, must name an SMTP server.",
        gettext_noop("BAKEOFF_SMTP_HOST is not set"),
    ),
    # What happened
    ("Shipped {version}. {why}", gettext_noop("Shipped %(version)s. %(why)s")),
    (
        "Rolled back; the champion stays. {why}",
        gettext_noop("Rolled back; the champion stays. %(why)s"),
    ),
    (
        "Stopped without a winner; the champion stays. {why}",
        gettext_noop("Stopped without a winner; the champion stays. %(why)s"),
    ),
    ("Confirmed. {why}", gettext_noop("Confirmed. %(why)s")),
    (
        "Halted: its numbers cannot be trusted. {why}",
        gettext_noop("Halted: its numbers cannot be trusted. %(why)s"),
    ),
    (
        "The last {days} days of '{surface}' differ from before: {names}.",
        gettext_noop("The last %(days)s days of '%(surface)s' differ from before: %(names)s"),
    ),
    (
        "{count} commits have waited for PostgreSQL for up to {seconds} s; the buffer holds {size}, "
        "then requests are refused.",
        gettext_noop(
            "%(count)s commits have waited for PostgreSQL for up to %(seconds)s s; the buffer holds "
            "%(size)s, then requests are refused"
        ),
    ),
    (
        "Users of '{surface}' write about something new: {theme}. "
        "It was {count} users in the last {days} days.",
        gettext_noop(
            "Users of '%(surface)s' write about something new: %(theme)s. "
            "It was %(count)s users in the last %(days)s days"
        ),
    ),
    (
        "More users of '{surface}' write about: {theme}. "
        "It was {count} users in the last {days} days: {recent} of those who wrote, {before} before.",
        gettext_noop(
            "More users of '%(surface)s' write about: %(theme)s. It was %(count)s users in the last "
            "%(days)s days: %(recent)s of those who wrote, %(before)s before"
        ),
    ),
    (
        "The quota of {quota} for {month} is used up: {used} of {limit}. More are refused until {day}.",
        gettext_noop(
            "The quota of %(quota)s for %(month)s is used up: %(used)s of %(limit)s. "
            "More are refused until %(day)s"
        ),
    ),
    (
        "{percent} % of the quota of {quota} for {month} are used: {used} of {limit}.",
        gettext_noop(
            "%(percent)s%% of the quota of %(quota)s for %(month)s are used: %(used)s of %(limit)s"
        ),
    ),
    (
        "{by} mentions {people} in a comment.",
        gettext_noop("%(by)s mentions %(people)s in a comment"),
    ),
    # What an action refuses
    (
        "kind == 'email', must be another: BAKEOFF_SMTP_HOST names no SMTP server.",
        gettext_noop("No mail server is configured: BAKEOFF_SMTP_HOST is not set"),
    ),
    (
        "target: '{url}' must be a URL such as {example}, without user or fragment.",
        gettext_noop("'%(url)s' is not a URL such as %(example)s, without user or fragment"),
    ),
    (
        "target: '{url}' must begin with https://.",
        gettext_noop("'%(url)s' does not begin with https://"),
    ),
    (
        "target: '{host}' is no public address, and {setting} does not name it.",
        gettext_noop("'%(host)s' is not a public address, and %(setting)s does not name it"),
    ),
    (
        "target == '{target}', must be an e-mail address.",
        gettext_noop("'%(target)s' is not an e-mail address"),
    ),
    (
        "name == '{value}', must be one of its own.",
        gettext_noop("There is a subscription with the name '%(value)s' already"),
    ),
    (
        "name == '{value}', must be 1 to {maximum} characters.",
        gettext_noop("A name has 1 to %(maximum)s characters"),
    ),
    (
        "enabled == false, must be true: resume it first.",
        gettext_noop("The subscription is paused: resume it first"),
    ),
    (
        "state == 'waiting', must be 'dead' or 'delivered'.",
        gettext_noop("It is waiting to be sent already"),
    ),
    (
        "kind == '{kind}', must be 'webhook': only webhooks are signed.",
        gettext_noop("Only webhooks are signed"),
    ),
)
