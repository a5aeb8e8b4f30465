"""Hide secrets in a line that people will read: keys, passwords, values of settings."""

from __future__ import annotations

import os
import re

HIDDEN = "[hidden]"
MIN_SECRET = 6  # characters: a shorter value of a setting would hide parts of words
_SECRET_NAMES = re.compile(
    r"SECRET|PASSWORD|TOKEN|(?:^|_)KEY|CREDENTIAL|DSN|SMTP_USER|OTLP_(?:HEADERS|ENDPOINT)|WAREHOUSE"
    r"|(?:DATABASE|REPLICA|REDIS|BROKER)_URL",
    re.IGNORECASE,
)
# A count of tokens is none, and a tokenizer neither: the word is singular.
_KEYWORDS = (
    r"secret|password|passwd|passphrase|token(?![a-z])|signature|credential"
    r"|(?:api|access|private|secret|signing|encryption)[_-]?key(?![a-z])"
)
_PATTERNS = (
    # A user and a password in an address: up to the last @ of its host, as a password may have one.
    (re.compile(r"(\w+://)[^\s/@'\"]*:[^\s/'\"]*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(Bearer)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(r"(Authorization['\"]?\s*[=:]\s*['\"]?Basic)\s+[\w.~+/=-]{4,}", re.IGNORECASE),
        rf"\1 {HIDDEN}",
    ),
    # Ours, those of providers, and access keys of object stores: none is of small letters alone.
    (
        re.compile(
            r"\b(?:sk-|(?:sk|pk|hf|ghp)_|xox[abp]-)(?=[\w-]*[A-Z0-9])[\w-]{12,}"
            r"|\bst_(?=[\w-]*[A-Z0-9])[\w.-]{20,}|\bAKIA[0-9A-Z]{12,}"
        ),
        HIDDEN,
    ),
    (
        re.compile(
            rf"([\w-]*(?:{_KEYWORDS})[\w-]*)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;&]{{3,}}", re.IGNORECASE
        ),
        rf"\1\2{HIDDEN}",
    ),
)


def hide_secrets(text: str) -> str:
    """Return a text with each secret replaced.

    Secrets are what looks like one, and the values of this process's environment whose names say so.
    """
    for name, value in os.environ.items():
        if len(value) >= MIN_SECRET and _SECRET_NAMES.search(name):
            text = text.replace(value, HIDDEN)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text
