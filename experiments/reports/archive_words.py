"""Why something cannot be archived, restored or deleted, in the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

ARCHIVE_SENTENCES: tuple[tuple[str, str], ...] = (
    ("experiment '{key}' is running", gettext_noop("Experiment '%(key)s' is running")),
    ("experiment '{key}' is a draft", gettext_noop("Experiment '%(key)s' is a draft")),
    ("training run {run} is queued", gettext_noop("Training run %(run)s is queued")),
    ("training run {run} is running", gettext_noop("Training run %(run)s is running")),
    (
        "proposal {proposal} waits for approval",
        gettext_noop("Proposal %(proposal)s waits for approval"),
    ),
    (
        "surface '{key}' names it as text_classifier",
        gettext_noop("Surface '%(key)s' has it as classifier of what users write"),
    ),
    (
        "surface '{key}' names it as theme_namer",
        gettext_noop("Surface '%(key)s' has it as model that names themes"),
    ),
    (
        "surface '{key}' is judged by its version {version}",
        gettext_noop("Surface '%(key)s' is judged by its version %(version)s"),
    ),
    (
        "the autopilot of surface '{key}' names it",
        gettext_noop("The autopilot of surface '%(key)s' uses it"),
    ),
    (
        "it guards each automatic experiment of this project's surfaces",
        gettext_noop("Every automatic experiment of this project is guarded by it"),
    ),
    ("surface '{key}' is archived already.", gettext_noop("Surface '%(key)s' is already archived")),
    ("surface '{key}' is not archived.", gettext_noop("Surface '%(key)s' is not archived")),
    (
        "surface '{key}' is not archived: archive it first.",
        gettext_noop("Surface '%(key)s' is not archived: archive it first"),
    ),
    (
        "surface '{key}' is archived: restore it first.",
        gettext_noop("Surface '%(key)s' is archived: restore it first"),
    ),
    (
        "surface '{key}' names what is archived: {names}. Restore this first.",
        gettext_noop("Surface '%(key)s' uses what is archived: %(names)s. Restore this first"),
    ),
    (
        "surface '{key}' names what does not exist: {names}. Create this first.",
        gettext_noop("Surface '%(key)s' uses what does not exist: %(names)s. Create this first"),
    ),
    ("metric '{key}' is archived already.", gettext_noop("Metric '%(key)s' is already archived")),
    ("metric '{key}' is not archived.", gettext_noop("Metric '%(key)s' is not archived")),
    (
        "metric '{key}' is archived: restore it first.",
        gettext_noop("Metric '%(key)s' is archived: restore it first"),
    ),
    (
        "surface '{key}' has {history}: archive it instead, which keeps them.",
        gettext_noop("Surface '%(key)s' has a history: archive it instead, which keeps it"),
    ),
    (
        "metric '{key}' has results of experiments: archive it instead, which keeps them.",
        gettext_noop(
            "Metric '%(key)s' has results of experiments: archive it instead, which keeps them"
        ),
    ),
)
