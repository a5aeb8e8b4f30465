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
    ("username == '{user}', nobody has this name.", gettext_noop("Nobody here has the name %(user)s.")),
    (
        "username == '{user}', must be a member of no project that you do not administer.",
        gettext_noop(
            "%(user)s is also a member of a project that you do not administer, or runs the platform. "
            "Only who runs the platform can reset this password."
        ),
    ),
    (
        "username == '{user}', signs in by the identity provider only, and has no password.",
        gettext_noop("%(user)s only signs in with your organization and has no password here."),
    ),
    ("user == '{user}', is turned off.", gettext_noop("The account %(user)s is turned off.")),
    (
        "email == '{value}', must be an e-mail address.",
        gettext_noop("“%(value)s” is no e-mail address."),
    ),
)
