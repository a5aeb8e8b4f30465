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
)
