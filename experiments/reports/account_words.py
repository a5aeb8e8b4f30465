"""What is refused of keys and people, in the words of pages."""

from __future__ import annotations

from django.utils.translation import gettext_noop

ACCOUNT_SENTENCES = (
    # Comments
    (
        "comment == {text}, must be a text of {low} to {high} characters.",
        gettext_noop("A comment has %(low)s to %(high)s characters"),
    ),
    (
        "comments == {count}, must be at most {maximum}.",
        gettext_noop("There are %(count)s comments already: at most %(maximum)s are shown"),
    ),
    (
        "expires_at == {value}, must be a time to come.",
        gettext_noop("The last day of a key cannot be in the past. Revoke a key that is to end now."),
    ),
    (
        "scope == '{value}', must be one of {values} for a {kind}_ key.",
        gettext_noop("A key of this kind cannot have the scope “%(value)s”."),
    ),
    (
        "owner == '{value}', must be a member of the project.",
        gettext_noop("“%(value)s” is no member of this project."),
    ),
    (
        "owner == '{value}', must stay 'platform', which conducts it.",
        gettext_noop("The platform conducts this one, and stays its owner."),
    ),
    ("scopes == [], must have one of {values}.", gettext_noop("Select at least one scope.")),
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
        "username == '{user}', signs in by the provider only, and has no password.",
        gettext_noop("%(user)s only signs in with your organization and has no password here."),
    ),
    (
        "code, must be the one that the app shows now.",
        gettext_noop("This is not the code that the app shows now."),
    ),
    (
        "code, must be the next one of the app, or a recovery code.",
        gettext_noop(
            "This code is wrong or was used. Wait for the next one, or enter a recovery code."
        ),
    ),
    (
        "code, had too many failures: wait 15 minutes.",
        gettext_noop("Too many wrong codes. Wait 15 minutes, then try again."),
    ),
    ("second_factor, must be set up.", gettext_noop("There is no second factor yet.")),
    ("second_factor, is set up already.", gettext_noop("The second factor is set up already.")),
    (
        "second_factor, must be one that waits for its first code.",
        gettext_noop("The second factor is set up already."),
    ),
    (
        "username, must be another's: your own goes on the account page.",
        gettext_noop("Remove your own second factor on your account page."),
    ),
    (
        "username == '{user}', has no second factor.",
        gettext_noop("%(user)s has no second factor."),
    ),
    (
        "session == {session}, must be an open one of your own.",
        gettext_noop("This session is not yours, or it has ended."),
    ),
    (
        "session == {session}, must be another than this one: sign out instead.",
        gettext_noop("This is the session that you use. Sign out instead."),
    ),
    (
        "sessions == 1, must be more: there is no other one.",
        gettext_noop("You have no other session."),
    ),
    (
        "username, must be another's: your own are on the account page.",
        gettext_noop("Your own sessions are on your account page."),
    ),
    (
        "username == '{user}', has no open session.",
        gettext_noop("%(user)s has no open session."),
    ),
    (
        "passkey, must be one that is registered here.",
        gettext_noop("This passkey is not known here, or it was removed. Sign in another way."),
    ),
    (
        "passkey, must answer the challenge of this page at this address.",
        gettext_noop("The passkey could not be verified, or it took too long. Try again."),
    ),
    (
        "passkey, has a count that is not above its last: it may be a copy.",
        gettext_noop(
            "This passkey is refused: it may be a copy. Sign in another way, and remove the passkey."
        ),
    ),
    ("passkey, is registered already.", gettext_noop("This passkey is registered already.")),
    (
        "passkeys == {count}, must be fewer to add one.",
        gettext_noop("You have %(count)s passkeys. Remove one first."),
    ),
    (
        "name of a passkey, must have 1 to 60 characters.",
        gettext_noop("A passkey's name has 1 to 60 characters."),
    ),
    (
        "reason == '', must say why it is {state}.",
        gettext_noop("Write a reason to hide an entry or to mark it as spam."),
    ),
    ("view, must have a filter.", gettext_noop("Choose a filter first, then save the view.")),
    ("view == '{name}', is taken.", gettext_noop("You already have a view with the name “%(name)s”.")),
    (
        "views == {count}, must be fewer to save one.",
        gettext_noop("You have %(count)s views. Delete one first."),
    ),
    (
        "name of a view, must have 1 to 60 characters.",
        gettext_noop("A view's name has 1 to 60 characters."),
    ),
    ("user == '{user}', is turned off.", gettext_noop("The account %(user)s is turned off.")),
    (
        "email == '{value}', must be an e-mail address.",
        gettext_noop("“%(value)s” is no e-mail address."),
    ),
)
