"""Why an item stands in a slate or not: the stored sentences, and the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

SLATE_SENTENCES: tuple[tuple[str, str], ...] = (
    ("A pin puts it at position {position}.", gettext_noop("A pin puts it at position %(position)s.")),
    (
        "The request names it, and the version does not know it.",
        gettext_noop("The request names it, and the model does not know it."),
    ),
    (
        "It is in the surface's static list.",
        gettext_noop("It is in the surface's static list."),
    ),
    (
        "The model ranks it {rank} of {count} candidates.",
        gettext_noop("The model ranks it %(rank)s of %(count)s candidates."),
    ),
    ("Boosts divide its rank by {boost}.", gettext_noop("Boosts divide its rank by %(boost)s.")),
    (
        "It is buried: it comes after all others.",
        gettext_noop("It is buried: it comes after all others."),
    ),
    (
        "It was {rank} of {allowed} that caps, diversity and pins left for the slot.",
        gettext_noop("It was %(rank)s of %(allowed)s that caps, diversity and pins left for the slot."),
    ),
    (
        "Neither the catalogue nor the version knows it.",
        gettext_noop("Neither the catalogue nor the model knows it."),
    ),
    ("It was deleted.", gettext_noop("It was deleted.")),
    ("available == false.", gettext_noop("It is not available.")),
    ("It is published at {time}.", gettext_noop("It is published at %(time)s.")),
    ("It expired at {time}.", gettext_noop("It expired at %(time)s.")),
    ("It does not match the filter.", gettext_noop("It does not match the filter.")),
    ("The request excludes it.", gettext_noop("The request excludes it.")),
    (
        "The user hid, refused or bought it.",
        gettext_noop("The user hid, refused or bought it."),
    ),
    ("The request names other candidates.", gettext_noop("The request names other candidates.")),
    ("The user liked it lately.", gettext_noop("The user liked it lately.")),
    (
        "No model answers, and the static list does not hold it.",
        gettext_noop("No model answers, and the static list does not hold it."),
    ),
    (
        "It came after the version had learned.",
        gettext_noop("It came after the model was trained."),
    ),
    (
        "The model ranks it {rank} of {count} items; {candidates} are candidates.",
        gettext_noop("The model ranks it %(rank)s of %(count)s items; %(candidates)s are candidates."),
    ),
    (
        "It is not among the {candidates} candidates.",
        gettext_noop("It is not among the %(candidates)s candidates."),
    ),
    (
        "It is {rank} of {count} candidates, by the model alone {model_rank}; the slate has {k} slots.",
        gettext_noop(
            "It is %(rank)s of %(count)s candidates, by the model alone %(model_rank)s; the list has "
            "%(k)s places."
        ),
    ),
    (
        "The slate holds {limit} with the same {property}, the cap.",
        gettext_noop("The list holds %(limit)s with the same %(property)s, the cap."),
    ),
    # What the settings of a list may not be
    (
        "word_weight == 0, must be above 0 where vector_weight is 0.",
        gettext_noop("One of the two weights must be above 0: else nothing is ranked."),
    ),
    (
        "{version} is saved and does not serve: {why}",
        gettext_noop("%(version)s is saved, but it does not serve yet. %(why)s"),
    ),
)
