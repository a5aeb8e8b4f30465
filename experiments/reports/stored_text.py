"""Stored English sentences in the reader's words.

Looks, decisions, gates and runs store why something happened as an English sentence. Looks and
decisions are hashed, so what is stored stays as it is: a page shows the same fact in the words of pages
and in the reader's language. A sentence that is not listed, the text of an exception for instance, is
shown as it is stored.
"""

from __future__ import annotations

import re
from functools import lru_cache

from django.utils.translation import get_language, gettext

from experiments.reports.autopilot_words import DURATIONS
from experiments.reports.code_names import name_of, name_of_setting
from experiments.reports.stored_sentences import SENTENCES


def _pattern(stored: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", stored)
    return re.compile(
        "".join(f"(?P<{part}>.+?)" if n % 2 else re.escape(part) for n, part in enumerate(parts)),
        re.DOTALL,
    )


PATTERNS = tuple((_pattern(stored), shown) for stored, shown in SENTENCES)


@lru_cache(maxsize=4096)
def _match(text: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Return how pages say a stored sentence, and its values; None for one that is not listed."""
    for pattern, shown in PATTERNS:
        if found := pattern.fullmatch(text):
            return shown, tuple(found.groupdict().items())
    return None


def show_stored(text: str) -> str:
    """Return a stored sentence in the reader's words and language, without its full stop.

    Sentences that were joined by semicolons are shown one by one.
    """
    text = text.strip()
    for stored in (text, text.removesuffix("."), f"{text}."):
        if found := _match(stored):
            shown, values = found
            return gettext(shown) % {name: _show_value(name, value) for name, value in values}
    if "; " in text:
        return "; ".join(map(show_stored, text.split("; ")))
    return text.removesuffix(".")


def _name_of_gate(code: str) -> str:
    """Name what the gate of versions that generate measures."""
    return name_of(f"gate {code}")


def _name_of_quota(code: str) -> str:
    """Name what a quota bounds."""
    return name_of(f"quota {code}")


_NAMED = {
    "name": name_of,
    "settings": name_of_setting,
    "gate": _name_of_gate,
    "quota": _name_of_quota,
}


def _show_value(name: str, value: str) -> str:
    if name.startswith("why"):
        return show_stored(value)
    if name in {"observed", "expected"}:  # "control 50.0% / treatment 50.0%"
        parts = [part.rpartition(" ") for part in value.split(" / ")]
        return " / ".join(f"{name_of(variant)} {share}" for variant, _space, share in parts)
    if name in _NAMED:
        return ", ".join(map(_NAMED[name], value.split(", ")))
    if name == "duration":  # "24 hours"
        # At the end of a sentence its full stop is a part of the value.
        count, _space, unit = value.removesuffix(".").partition(" ")
        return gettext(DURATIONS[unit]) % {"count": count} if unit in DURATIONS else value
    if name in {"state", "needed"}:
        return name_of(value).lower()
    return value


def end_sentence(text: str) -> str:
    """Return a sentence with the full stop of the reader's language, unless it has one."""
    if text.endswith((".", "。")):
        return text
    is_chinese = (get_language() or "").startswith("zh") and not text.isascii()
    return text + ("。" if is_chinese else ".")


def join_sentences(*sentences: str) -> str:
    """Put sentences one after another as the reader's language does; empty ones are left out."""
    is_chinese = (get_language() or "").startswith("zh")
    return ("" if is_chinese else " ").join(filter(None, sentences))


def is_listed(text: str) -> bool:
    """Whether every part of a stored sentence has words for pages."""
    text = text.strip()
    return any(_match(s) for s in (text, text.removesuffix("."), f"{text}.")) or (
        "; " in text and all(map(is_listed, text.split("; ")))
    )
