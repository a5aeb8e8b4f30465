"""Who acts where no person is named: the audit trail's `actor` of the platform and of a shell."""

PLATFORM = "platform"  # what nobody asked for
OPERATOR = "operator"  # who can run commands on the machine
SINGLE_SIGN_ON = "single sign-on"  # groups of the identity provider

# No person may have such a name: the trail could not tell them apart.
RESERVED = frozenset({PLATFORM, OPERATOR, SINGLE_SIGN_ON})


def is_reserved(username: str) -> bool:
    """Whether a name, in whatever case, is one that the audit trail has for no person."""
    return username.casefold() in RESERVED
