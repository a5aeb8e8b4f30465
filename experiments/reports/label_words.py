"""Why feedback is not queued for labelling, as actions say it and as pages do."""

from __future__ import annotations

from django.utils.translation import gettext_noop

LABEL_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        "surface == '{surface}' of kind '{kind}', must be of kind 'classify'.",
        gettext_noop("The surface %(surface)s has no labels: it does not classify."),
    ),
    (
        "text_classifier == '{surface}', must be the key of a surface of kind 'classify'.",
        gettext_noop("“%(surface)s” is no classification surface of this project"),
    ),
    (
        "text_classifier == '{surface}', its champion must be no endpoint: texts are labelled in a "
        "worker, and sent nowhere.",
        gettext_noop("The champion of %(surface)s is an endpoint: texts are labelled in a worker only"),
    ),
    (
        "theme_namer == '{surface}', must be the key of a surface of kind 'generate'.",
        gettext_noop("“%(surface)s” is no surface of this project that generates"),
    ),
    (
        "theme == {theme}, must be the id of a theme of this project.",
        gettext_noop("This theme is gone: read the page again."),
    ),
    (
        "feedback == '{entry}', must count; it was taken back, replaced, hidden or marked as spam.",
        gettext_noop(
            "This entry counts no more: it was taken back, replaced, hidden or marked as spam."
        ),
    ),
    (
        "feedback == '{entry}', must be of a user who consents to learning from it.",
        gettext_noop("The user of this entry does not consent to learning from it."),
    ),
    (
        "feedback == '{entry}', must be of a user who is not excluded.",
        gettext_noop("The user of this entry is excluded."),
    ),
    (
        "feedback == '{entry}', must have a text, or be about an answer of surface '{surface}' to a "
        "text that may be learnt from; its kind is '{kind}'.",
        gettext_noop("There is no text to label with the labels of %(surface)s."),
    ),
)
