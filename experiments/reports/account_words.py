"""What is refused of keys and people, in the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

ACCOUNT_SENTENCES = (
    (
        "expires_at == {value}, must be a time to come.",
        gettext_noop("The last day of a key cannot be in the past. Revoke a key that is to end now."),
    ),
    (
        "expires == '{value}', must be a day such as 2027-01-31.",
        gettext_noop("“%(value)s” is no date. Enter one such as 2027-01-31."),
    ),
    (
        "origin == '{value}', must be scheme and host, such as https://shop.example.",
        gettext_noop("“%(value)s” is no origin. Enter scheme and host, such as https://shop.example."),
    ),
    (
        "roles == [], must have one by a group.",
        gettext_noop("None of your groups has a role here. Ask an administrator of a project."),
    ),
    (
        "username == '{user}', is taken by an account that is not linked.",
        gettext_noop(
            "The name %(user)s is taken by an account that is not linked to yours. An administrator "
            "can link it."
        ),
    ),
    (
        "username == '{user}', has just been made: sign in again.",
        gettext_noop("Your account has just been created. Sign in again."),
    ),
    ("username == '{user}', is taken.", gettext_noop("This name is taken.")),
    (
        "username == '{user}', must be no name of the platform.",
        gettext_noop("The name %(user)s is reserved for the platform. Choose another."),
    ),
    ("user == '{user}', is turned off.", gettext_noop("The account %(user)s is turned off.")),
    (
        "email == '{value}', must be an e-mail address.",
        gettext_noop("“%(value)s” is no e-mail address."),
    ),
)
