"""Who acts where no person is named: the audit trail's `actor` of the platform and of a shell."""

PLATFORM = "platform"  # what nobody asked for
OPERATOR = "operator"  # who can run commands on the machine
SINGLE_SIGN_ON = "single sign-on"  # groups of the identity provider

KEY = "key "  # and its prefix: a program

# No person may have such a name: the trail could not tell them apart.
RESERVED = frozenset({PLATFORM, OPERATOR, SINGLE_SIGN_ON})


def is_reserved(username: str) -> bool:
    """Whether a name, in whatever case, is one that the audit trail has for no person."""
    return username.casefold() in RESERVED


def reason_of(act: str, by: str) -> str:
    """Return the reason of an act that nobody gave one for: a key is named, since no person did it."""
    return f"{act} by {by}" if by.startswith(KEY) else f"{act} by a person"
