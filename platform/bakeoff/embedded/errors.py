"""What can go wrong when a platform starts.

StartError          one sentence for the person at the terminal, with the remedy
"""


class StartError(Exception):
    """The platform cannot start; the message is one sentence with the remedy."""
